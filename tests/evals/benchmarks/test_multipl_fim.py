"""MultiPL-FIM: the line in the hole, exact match and tests, and the repository's names before the file."""

import gzip
import json

import pytest

from chaku import ChakuError
from chaku.evals.benchmark import Task
from chaku.evals.benchmarks.multipl_fim import MULTIPL_FIM
from chaku.evals.generate import Sampling, generate_samples
from chaku.inference.endpoint import Endpoint
from chaku.inference.prompts import infill
from chaku.inference.repository import repository_header
from evals.running import benchmark_file, judge
from scripted_engine import ScriptedEngine

BY_NAME = {name.name: name for name in MULTIPL_FIM}
ROW = {
    "name": "humaneval-HumanEval_53_add.json-L3",
    "language": "js",
    "prompt": "//Add two numbers\nfunction add(x, y){",
    "suffix": "  return sum;\n}",
    "canonical_solution": "  let sum = x + y;",
    "tests": "const assert = require('node:assert');\nassert.deepEqual(add(2, 3), 5);\n",
}
JAVA = {
    "name": "humaneval-HumanEval_53_add.json-L9",
    "language": "java",
    "prompt": "class Problem {\n    public static long add(long x, long y) {\n        long sum = 0;",
    "suffix": "        return sum;\n    }\n}",
    "canonical_solution": "        sum = x + y;",
    "tests": "    }\n    public static void main(String[] args) {\n    assert(add(2l, 3l) == 5l);\n    }\n\n}\n",
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "fim.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in (ROW, JAVA)).encode()))
    return path


def load(name, path):
    benchmark = BY_NAME[name]
    [task] = benchmark.load(path)
    return benchmark, task


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\n  let sum = x + y;\n  return", "  let sum = x + y;"),
        (" \n  let sum = x + y;", "  let sum = x + y;"),
        ("  let sum = x + y;\n", "  let sum = x + y;"),
        ("\r\n  x;\r\n", "  x;"),
        ("", ""),
    ],
)
def test_the_line_after_the_break_is_the_answer(text, line, path):
    benchmark, task = load("multipl-fim-js-psm", path)
    assert benchmark.cut_text(task, text) == line


def test_a_line_is_judged_by_exact_match_and_by_the_tests(path, tmp_path):
    benchmark, task = load("multipl-fim-js-psm", path)
    lines = [*task.references, "\tlet sum = x + y; ", "  const sum = y + x;", "  let sum = x - y;"]
    judgements = judge(benchmark, [(task, line) for line in lines], tmp_path)
    assert [judgement.passed for judgement in judgements] == [True, True, True, False]
    assert [judgement.measures["exact_match"] for judgement in judgements] == [100, 100, 0, 0]
    assert 80 < judgements[3].measures["edit_similarity"] < 100


def test_javas_tests_close_the_class(path, tmp_path):
    benchmark, task = load("multipl-fim-java-spm", path)
    [job] = benchmark.jobs(task, task.references[0])
    assert job.source.endswith("return sum;\n    ")
    right, wrong = judge(benchmark, [(task, task.references[0]), (task, "        sum = x - y;")], tmp_path)
    assert right.passed, right.reason
    assert not wrong.passed


class Pieces:
    """A tokenizer that is asked for pieces and texts alone."""

    def __init__(self, *names):
        self.pieces = ["x", *names]

    def encode(self, text):
        return [text]


def test_the_repositorys_and_the_files_names_stand_before_the_file():
    assert repository_header(Pieces("<|repo_name|>", "<|file_sep|>"), "r", "a.js") == [1, "r\n", 2, "a.js\n"]
    with pytest.raises(ChakuError, match="the model cannot read repositories"):
        repository_header(Pieces("<|repo_name|>"), "r", "a.js")


def test_the_header_comes_after_bos_and_before_the_infilling_prompt(engine, monkeypatch, tmp_path):
    benchmark = BY_NAME["multipl-fim-js-psm-repository"]
    monkeypatch.setattr("chaku.inference.reader.repository_header", lambda *_, **__: [7, 8])
    task = Task("t", "a = 1", suffix="b = 2", data={"path": "t.js"})
    model = ScriptedEngine(engine, lambda request: "")
    generate_samples(benchmark, [task], model, Sampling(), tmp_path)
    plain = infill(engine.tokenizer, "a = 1", "b = 2", mode="psm").ids
    begin = len(engine.tokenizer.begin)
    assert model.read(model.requests[0]).ids == (*plain[:begin], 7, 8, *plain[begin:])


def test_an_endpoint_is_not_told_a_repository(path, tmp_path):
    benchmark, task = load("multipl-fim-js-psm-repository", path)
    assert task.data["path"] == "humaneval-HumanEval_53_add.js"
    with pytest.raises(ChakuError, match="an endpoint cannot read a repository"):
        generate_samples(benchmark, [task], Endpoint("http://x", "m"), Sampling(), tmp_path)


@pytest.mark.parametrize(("short", "number"), [("js", 1969), ("java", 1780)])
def test_references_of_the_real_files_pass(short, number, tmp_path):
    benchmark = BY_NAME[f"multipl-fim-{short}-psm"]
    tasks = benchmark.load(benchmark_file(f"multipl-fim/{short}.jsonl.gz"))
    assert len(tasks) == number
    some = tasks[:: number // 6]
    assert all(verdict.passed for verdict in judge(benchmark, [(task, task.references[0]) for task in some], tmp_path))
