"""What is run before anything is scored: references until one passes, or a completion that is sure to be wrong."""

from dataclasses import replace

import pytest

from chaku import ChakuError
from chaku.evals.benchmark import Benchmark, Task
from chaku.evals.judging import Judge, Limits, check_references, check_wrong
from chaku.sandbox.verdict import Job, Verdict


def verdict(status, reason=""):
    return Verdict(status, reason, 0, 0.1, 0.1, 1.0, "", "")


@pytest.fixture
def sandbox(monkeypatch):
    """Programs are words: each is its own verdict. Returns what was run."""
    run = []

    def run_stream(jobs, **limits):
        for number, job in enumerate(jobs):
            run.append(job.source)
            yield number, verdict(job.source, "" if job.source == "passed" else "because")

    monkeypatch.setattr("chaku.sandbox.pool.run_stream", run_stream)
    return run


def jobs(task, completion):
    return [Job(word) for word in completion.split()]


WORDS = Benchmark("words", lambda path: [], "as it is", jobs)


def judge(tmp_path, benchmark=WORDS):
    return Judge(benchmark, Limits(1.0, 64), tmp_path / "journal.jsonl")


def test_one_reference_that_passes_is_enough(sandbox, tmp_path):
    tasks = [
        Task("a", "", references=("failed", "passed", "crashed")),
        Task("b", "", references=("passed",)),
        Task("c", ""),
    ]
    assert check_references(judge(tmp_path), tasks) == 2
    assert sorted(sandbox) == ["failed", "passed", "passed"]


def test_a_problem_whose_references_all_fail_is_named(sandbox, tmp_path):
    tasks = [Task("a", "", references=("failed", "crashed")), Task("b", "", references=("passed",))]
    with pytest.raises(
        ChakuError,
        match=r"references? solutions of 1 of 2 problems fail here.*: a \(failed: because\); .* --exclude a$",
    ):
        check_references(judge(tmp_path), tasks)


def test_a_reference_that_takes_too_long_says_what_to_do(sandbox, tmp_path):
    with pytest.raises(
        ChakuError, match=r"a \(timed_out: because\); on a slow machine give more seconds with --timeout; to"
    ):
        check_references(judge(tmp_path), [Task("a", "", references=("timed_out",))])


def test_a_wrong_completion_has_to_fail_in_a_test(sandbox, tmp_path):
    tasks = [Task(name, "") for name in "abcde"]
    wrong = replace(WORDS, wrong=lambda task: "failed")
    check_wrong(judge(tmp_path, wrong), wrong, tasks)
    assert len(sandbox) == 3
    for status in ("passed", "compile_error", "timed_out"):
        wrong = replace(WORDS, wrong=lambda task, status=status: status)
        with pytest.raises(ChakuError, match=f"should fail a, but the verdict is {status}"):
            check_wrong(judge(tmp_path / status, wrong), wrong, tasks)


def test_no_wrong_completion_is_run_beside_references(sandbox, tmp_path):
    wrong = replace(WORDS, wrong=lambda task: "failed")
    check_wrong(judge(tmp_path, wrong), wrong, [Task("a", "", references=("passed",))])
    check_wrong(judge(tmp_path), WORDS, [Task("a", "")])
    assert sandbox == []


def test_programs_after_a_time_out_are_not_run(sandbox, tmp_path):
    completions = ["passed failed timed_out passed passed", "passed failed passed"]
    [cut, whole] = judge(tmp_path).judge([(Task("a", ""), completion) for completion in completions], "judge")
    assert (cut.verdict, whole.verdict) == ("failed", "failed")
    assert sandbox == [*["passed", "failed", "timed_out"], *["passed", "failed", "passed"]]
