"""Documents that repeat a benchmark's problem are found, whatever their white space; ordinary code is not."""

import json
import random

import numpy as np
import pytest

from chaku import ChakuError
from chaku.corpus.build import build_corpus
from chaku.corpus.cleaning import benchmark_problems
from chaku.corpus.cleaning.benchmark_problems import named_problems, read_problems
from chaku.corpus.cleaning.cleaner import Cleaning
from chaku.corpus.cleaning.decontamination import Decontamination, Hit, code_tokens, distance, functions
from chaku.corpus.cleaning.token_grams import token_grams
from chaku.corpus.reading.sources import Source
from chaku.evals.problems import Problem
from chaku.sandbox.verdict import Job

TEXT = "Given a list of numbers and a bound, count how many of the numbers lie above the bound, and halve that count."
SOLUTION = '''def count_above(values, bound):
    """Count them."""
    number = 0
    for value in values:
        if value > bound and value != 2 * bound:
            number += 1
        elif value < -bound:
            number -= 1
    return number // 2
'''
PROBLEM = Problem("little 1", TEXT, (SOLUTION,), Job(SOLUTION, tests=("assert 1",), entry_point="count_above"))
FILE = "import os\n\n\ndef size(path):\n    return os.stat(path).st_size\n\n\n"
check = Decontamination([PROBLEM])


@pytest.mark.parametrize(
    ("document", "language", "rule"),
    [
        (f"# {TEXT}\n{FILE}", "Python", "substring"),
        ("/* " + TEXT.replace(" ", "\n") + " */\nint x;\n", "C", "substring"),
        (TEXT.upper().replace("lists", "list"), "Text", "substring"),
        (FILE + SOLUTION, "Python", "substring"),
        (FILE + SOLUTION.replace("    ", "\t"), "Python", "substring"),
        (f"{FILE}# " + TEXT.replace("halve that count", "return it"), "Python", "10-grams"),
        (FILE + SOLUTION.replace("-bound", "0").replace("return number // 2", "return number"), "Python", "10-grams"),
        (FILE + SOLUTION.replace("number", "n").replace("values", "xs"), "Python", "function"),
        (FILE + SOLUTION.replace("value ", "v ").replace("-bound", "0"), "Python", "function"),
        (FILE, "Python", None),
        ("", "Python", None),
        (
            "for i in range(len(values)):\n    if value > bound:\n        number += 1\n    return number\n" * 3,
            "Python",
            None,
        ),
    ],
)
def test_what_repeats_a_problem(document, language, rule):
    assert check.find(document, language) == (Hit("little 1", rule) if rule else None)


def test_the_ten_grams_are_of_tokens_not_of_white_space():
    first, compact = token_grams("a = b+ c ;\n d(e , f)\n")
    second, _ = token_grams("A=B + c;d(e,f)")
    assert (first.tolist(), compact) == (second.tolist(), b"a=b+c;d(e,f)")
    assert len(first) == 12 - 10 + 1
    assert len(token_grams("a b c")[0]) == 0
    draw = random.Random(1)
    text = "".join(draw.choice("ab_é1 +\n(") for _ in range(3000))
    tokens = code_tokens(text)
    grams, _ = token_grams(text)
    assert len(grams) == len(tokens) - 9
    by_hash = {}
    for place, gram in enumerate(grams.tolist()):
        assert by_hash.setdefault(gram, "".join(tokens[place : place + 10])) == "".join(tokens[place : place + 10])
    assert len(np.unique(grams)) == len({"".join(tokens[place : place + 10]) for place in range(len(grams))})


def test_the_edit_distance_against_the_whole_table():
    draw = random.Random(1)
    for _ in range(200):
        left, right = ([draw.choice("abc") for _ in range(draw.randrange(9))] for _ in range(2))
        table = [[max(i, j) if not i * j else 0 for j in range(len(right) + 1)] for i in range(len(left) + 1)]
        for i in range(1, len(left) + 1):
            for j in range(1, len(right) + 1):
                replaced = table[i - 1][j - 1] + (left[i - 1] != right[j - 1])
                table[i][j] = min(replaced, table[i - 1][j] + 1, table[i][j - 1] + 1)
        for limit in range(5):
            assert distance(left, right, limit) == min(table[-1][-1], limit + 1)


def test_functions_by_their_indentation():
    text = "class A:\n    def f(\n        self,\n    ):\n        return 1\n\n    async def g(self): return 2\nx = 3\n"
    text += "def h():\n  (\n"
    assert [(name, source.count("\n")) for name, source in functions(text)] == [("f", 4), ("g", 0), ("h", 2)]


def test_files_of_problems(tmp_path):
    rows = [
        {"prompt": TEXT, "reference_code": SOLUTION, "task_id": "a/1"},
        {"question": "Why so?", "solutions": [SOLUTION]},
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [(problem.name, problem.text) for problem in read_problems(path)] == [
        ("own.jsonl a/1", TEXT),
        ("own.jsonl 2", "Why so?"),
    ]
    path.write_text('{"x": 1}\n')
    with pytest.raises(ChakuError, match="line 1 has no problem"):
        read_problems(path)
    with pytest.raises(ChakuError, match="no benchmark 'humanevil'"):
        named_problems(("humanevil",))


def test_apps_as_its_files_and_as_rows_and_a_row_as_ds_1000_has_it(tmp_path, monkeypatch):
    solution = SOLUTION.replace("def ", "def solve_")
    folder = tmp_path / "apps/test/0007"
    folder.mkdir(parents=True)
    (folder / "question.txt").write_text(TEXT)
    (folder / "solutions.json").write_text(json.dumps([solution, "print(1)"]))
    (folder / "input_output.json").write_text(json.dumps({"inputs": ["1\n"], "outputs": ["1\n"]}))
    monkeypatch.setenv("CHAKU_BENCHMARKS", str(tmp_path))
    in_files = Decontamination(named_problems(("apps",)))
    rows = tmp_path / "apps.jsonl"
    rows.write_text(
        json.dumps({"problem_id": 7, "question": "Do it.", "solutions": json.dumps([solution, "print(1)"])})
    )
    [problem] = read_problems(rows)
    assert (problem.name, problem.solutions) == ("apps.jsonl 7", (solution, "print(1)"))
    in_rows = Decontamination([problem])
    document = f"import sys\n\n\n{solution}\n\nprint(sys.argv)\n"
    for found in (in_files.find(document, "Python"), in_files.find(f"Notes.\n{TEXT}\n", "Markdown")):
        assert found is not None
        assert found.problem.startswith("apps")
    assert in_rows.find(document, "Python") is not None
    science = tmp_path / "ds1000.jsonl"
    about = {"problem_id": 511, "library": "Numpy"}
    science.write_text(
        json.dumps({"prompt": TEXT, "reference_code": solution, "metadata": about, "code_context": "x = 1"})
    )
    [problem] = read_problems(science)
    assert (problem.name, problem.text, problem.solutions) == ("ds1000.jsonl 511", TEXT, (solution,))
    assert Decontamination([problem]).find(document, "Python") is not None


def test_a_corpus_reports_its_hits(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "own.py").write_text(FILE)
    (tree / "copied.py").write_text(f"{FILE}# {TEXT}\n")
    (tmp_path / "own.jsonl").write_text(json.dumps({"text": TEXT, "id": 7}))
    cleaning = Cleaning(decontaminate=(str(tmp_path / "own.jsonl"),))
    out = tmp_path / "out"
    summary = build_corpus([Source("t", "tree", str(tree))], out, heldout_fraction=0, cleaning=cleaning)
    assert [row["reason"] for row in summary["dropped"]] == ["repeats a problem of a benchmark"]
    assert summary["checked_problems"] == 1
    [hit] = map(json.loads, (out / "contamination.jsonl").read_text().splitlines())
    assert hit == {"path": "copied.py", "source": "t", "detail": "own.jsonl 7: substring"}
    assert len(cleaning.files()) == 1  # its hash is an input of the corpus


def test_without_benchmarks_a_run_says_so(monkeypatch, tmp_path, capsys):
    from chaku.pipeline.unchecked import say_what_is_not_checked
    from chaku.recipe.schema import CorpusConfig, ModelConfig, Recipe

    monkeypatch.setenv("CHAKU_BENCHMARKS", str(tmp_path))
    benchmark_problems.at_hand.cache_clear()
    try:
        for against, said in ((True, 1), (False, 0), (("humaneval",), 0)):
            corpus = CorpusConfig(sources=(Source("t", "tree", "."),), decontaminate=against)
            say_what_is_not_checked(Recipe("r", ModelConfig("demo"), {}, {}, corpus=corpus))
            assert capsys.readouterr().err.count("NOT checked against humaneval, mbpp, apps, multipl-e") == said
    finally:
        benchmark_problems.at_hand.cache_clear()
