"""CodeXGLUE's rows become holes between quotes; an answer's first paragraph is compared."""

import json

import pytest

from chaku import ChakuError
from chaku.evals.benchmarks.bleu import bleu
from chaku.evals.benchmarks.docstrings import DOCSTRINGS


def row(code, docstring, words):
    return {"func_name": "add", "code": code, "docstring": docstring, "docstring_tokens": words.split()}


ADD = row(
    'def add(a, b):\n    """\n    Add two numbers.\n\n    They may be of any type.\n    """\n    return a + b  # Add\n',
    "Add two numbers.\n\n    They may be of any type.",
    "Add two numbers .",
)
SINGLE = row("def f():\n    'Give one.'\n    return 1\n", "Give one.", "Give one .")


def load(tmp_path, *rows):
    path = tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps(fields) + "\n" for fields in rows))
    return DOCSTRINGS.load(path)


def test_the_hole_is_between_the_quotes(tmp_path):
    first, second = load(tmp_path, ADD, SINGLE)
    assert first.prompt == 'def add(a, b):\n    """'
    assert first.suffix == '"""\n    return a + b  # Add\n'
    assert (second.prompt, second.suffix) == ("def f():\n    '", "'\n    return 1\n")
    assert DOCSTRINGS.mode == "psm"


def test_the_reference_scores_100_and_others_their_bleu(tmp_path):
    [task] = load(tmp_path, ADD)
    [reference] = task.references
    judgement = DOCSTRINGS.judge(task, reference, [])
    assert (judgement.passed, judgement.measures) == (True, {"bleu": pytest.approx(100)})
    other = DOCSTRINGS.judge(task, "Add numbers.", [])
    assert not other.passed
    assert other.measures["bleu"] == pytest.approx(100 * bleu("add numbers .", "add two numbers ."))


def test_an_answer_is_its_first_paragraph_before_the_quotes(tmp_path):
    [task] = load(tmp_path, ADD)
    answer = '\n    Add two numbers.\n\n    More.\n    """\n    return 0'
    assert DOCSTRINGS.cut_text(task, answer) == "Add two numbers."
    assert DOCSTRINGS.cut_text(task, ' Add two "numbers".""" + x') == 'Add two "numbers".'


def test_a_docstring_that_is_not_in_the_code_is_named(tmp_path):
    with pytest.raises(ChakuError, match=r"function 2 \(add\): its code does not have its docstring between quotes"):
        load(tmp_path, ADD, {**SINGLE, "docstring": "Give two."})
