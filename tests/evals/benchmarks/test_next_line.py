"""The next line of a long file: what counts as a line, as equal, and as near."""

import json

import pytest

from chaku import ChakuError
from chaku.evals.benchmarks.next_line import NEXT_LINE, edit_similarity, first_line

PYTHON, JAVA, CSHARP = NEXT_LINE


def load(tmp_path, benchmark, *rows):
    path = tmp_path / "lcc.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return benchmark.load(path)


def test_blank_lines_comments_and_fences_are_passed_over():
    assert first_line("\n\n  # sum\n```python\n    x = 1  # one\n y", "python") == "x = 1  # one"
    assert first_line("/* a\n * b\n */\n// c\n  int x;\n", "java") == "int x;"
    assert first_line("#region A\n", "csharp") == "#region A"
    assert first_line("# a\n", "python") == ""


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    # By hand, as fuzzywuzzy's ratio: twice the letters in common, in order, of all letters.
    [("abc", "abc", 1), ("abc", "axc", 4 / 6), ("kitten", "sitting", 8 / 13), ("", "a", 0), ("ab", "ba", 2 / 4)],
)
def test_edit_similarity(one, other, expected):
    assert edit_similarity(one, other) == pytest.approx(expected)


def test_white_space_between_tokens_does_not_count(tmp_path):
    [task] = load(tmp_path, PYTHON, {"context": "def f(a):\n\n", "gt": "    return g(a, b=1)"})
    assert task.prompt == "def f(a):\n"
    same = PYTHON.judge(task, "\n  return g( a,b = 1 )\nx = 2", [])
    assert (same.passed, same.measures["edit_similarity"], same.measures["bleu"]) == (True, 100, pytest.approx(100))
    other = PYTHON.judge(task, "return g(a)", [])
    assert not other.passed
    # "return g ( a )" is in "return g ( a , b = 1 )", 14 and 22 characters long.
    assert other.measures["edit_similarity"] == pytest.approx(100 * 2 * 14 / (14 + 22))
    assert PYTHON.judge(task, task.references[0], []).passed


def test_long_bench_rows_are_read_and_kept_to_the_language(tmp_path):
    rows = [
        {"context": "class A {", "answers": ["int x;"], "language": "java"},
        {"context": "x", "answers": ["y"], "language": "python"},
    ]
    [task] = load(tmp_path, JAVA, *rows)
    assert (task.prompt, task.references, task.group) == ("class A {\n", ("int x;",), "java")


def test_a_row_without_a_next_line_is_named(tmp_path):
    with pytest.raises(ChakuError, match="row 2 has no next line"):
        load(tmp_path, CSHARP, {"context": "a", "gt": "b"}, {"context": "a", "gt": " "})
    with pytest.raises(ChakuError, match="no field 'context'"):
        load(tmp_path, CSHARP, {"prompt": "a"})
