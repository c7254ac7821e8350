"""Samples to scores: references first, equal programs once, nothing lost to a kill, nothing scored that was not run."""

import json
import os
from collections import Counter
from dataclasses import replace

import pytest

from chaku import ChakuError
from chaku.evals import judging
from chaku.evals.benchmark import Benchmark, Judgement, Task
from chaku.evals.benchmarks.humaneval import HUMANEVAL
from chaku.evals.in_words import result_in_lines
from chaku.evals.run import score_file
from chaku.evals.samples import Sample
from chaku.evals.score import Scoring, score_samples, unextracted
from chaku.results import BenchmarkResult, GroupScore
from chaku.sandbox.probe import check_sandbox
from chaku.sandbox.verdict import Job, Verdict

sandboxed = pytest.mark.skipif(check_sandbox() is not None, reason=f"programs are NOT run: {check_sandbox()}")


class Sandbox:
    """Stands for the pool: a program that holds "right" passes. Counts what it runs, and fails when it is told to."""

    def __init__(self, monkeypatch):
        self.ran = Counter()
        self.asked = []
        self.broken = lambda job: False
        self.killed_after = None
        self.seconds = lambda job: 0.5
        monkeypatch.setattr(judging.pool, "run_stream", self.run_stream)
        monkeypatch.setattr(judging, "check_sandbox", lambda: None)

    def run_stream(self, jobs, **limits):
        self.asked.append(limits)
        for number, job in reversed(list(enumerate(jobs))):  # in another order than they were given
            if sum(self.ran.values()) == self.killed_after:
                raise KeyboardInterrupt
            self.ran[job.source] += 1
            status = "sandbox_error" if self.broken(job) else "passed" if "right" in job.source else "failed"
            seconds = self.seconds(job)
            status = "timed_out" if seconds >= limits["timeout"] else status
            reason = "" if status == "passed" else f"{status} of {job.source}"
            yield number, Verdict(status, reason, 0, seconds, 0.6, 10.0, "", "")


@pytest.fixture
def sandbox(monkeypatch):
    return Sandbox(monkeypatch)


def make_jobs(task, completion):
    return [Job(f"{task.task_id} {completion} {part}") for part in range(2)]


def little(num_tasks=3, **changes):
    tasks = [Task(f"t{number}", "?", references=("right",), group="eo"[number % 2]) for number in range(num_tasks)]
    return replace(Benchmark("little", lambda path: tasks, "plain", make_jobs), **changes), tasks


def samples(*completions_of_each):
    return [
        Sample(f"t{number}", index, completion)
        for number, completions in enumerate(completions_of_each)
        for index, completion in enumerate(completions)
    ]


def test_scores_by_problem_and_by_group(sandbox, tmp_path):
    benchmark, tasks = little()
    given = samples(["right", "wrong"], ["wrong", "bad"], ["right", "right"])
    results = score_samples(benchmark, tasks, given, tmp_path, Scoring(ks=(1, 2)))
    assert results == BenchmarkResult.read(tmp_path / "results.json")
    assert results.benchmark == "little"
    assert (results.num_problems, results.num_samples, results.num_passed) == (3, 6, 2)
    assert results.pass_at_k == {1: pytest.approx(0.5), 2: pytest.approx(2 / 3)}
    assert results.intervals_95[1][0] < 0.5 < results.intervals_95[1][1]
    assert results.verdicts == {"passed": 3, "failed": 3}
    assert results.by_group["e"] == GroupScore(2, {1: 0.75, 2: 1.0})
    assert results.by_group["o"].pass_at_k == {1: 0.0, 2: 0.0}
    lines = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert [(line["task_id"], line["index"], line["passed"]) for line in lines] == [
        *(("t0", 0, True), ("t0", 1, False), ("t1", 0, False), ("t1", 1, False), ("t2", 0, True), ("t2", 1, True)),
    ]
    assert lines[0] == {
        "task_id": "t0",
        "index": 0,
        "verdict": "passed",
        "passed": True,
        "reason": "",
        "cpu_seconds": 1.0,
    }
    assert lines[1]["verdict"] == "failed"
    assert lines[1]["reason"] == "failed of t0 wrong 0"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.json", "samples.jsonl"]


def test_equal_programs_are_judged_once_and_references_are_of_them(sandbox, tmp_path):
    benchmark, tasks = little()
    score_samples(benchmark, tasks, samples(["right"] * 5, ["wrong"] * 5, ["right"]), tmp_path)
    assert set(sandbox.ran.values()) == {1}
    assert len(sandbox.ran) == 2 * (3 + 1)  # three references and one wrong completion, of two programs each


def test_nothing_is_scored_when_a_reference_fails(sandbox, tmp_path):
    benchmark, tasks = little()
    tasks[1] = replace(tasks[1], references=("broken", "broken too"))
    with pytest.raises(
        ChakuError, match=r"solutions of 1 of 3 problems fail here.* t1 \(failed: failed of t1 broken 0\)"
    ):
        score_samples(benchmark, tasks, samples(["right"], ["right"], ["right"]), tmp_path)
    assert not (tmp_path / "results.json").exists()


def test_a_limit_is_four_times_what_the_reference_takes_here(sandbox, tmp_path):
    """A slow machine, or a busy one, makes both slow: the verdict is the same."""
    benchmark, tasks = little(timeout=3.0)
    taken = {"t0 right": 2.0, "t0 wrong right": 7.0, "t1 right": 2.0, "t1 wrong right": 13.0, "t2 right": 0.5}
    sandbox.seconds = lambda job: taken[job.source.rpartition(" ")[0]]
    results = score_samples(benchmark, tasks, samples(["wrong right"], ["wrong right"], ["right"]), tmp_path)
    assert results.verdicts == {"passed": 2, "timed_out": 1}
    assert results.manifest["longer_timeouts"] == {"t0": 12.0, "t1": 12.0}  # 8 s, in doublings of 3 s


def test_a_reference_that_times_out_on_a_busy_machine_is_given_more_than_ten_times_as_long(sandbox, tmp_path):
    benchmark, tasks = little(timeout=3.0)
    tasks[0] = replace(tasks[0], references=("right", "wrong"))
    sandbox.seconds = lambda job: 25.0 if job.source.startswith("t0 right") else 0.5
    results = score_samples(benchmark, tasks, samples(["right"], ["right"], ["right"]), tmp_path)
    assert results.verdicts == {"passed": 3}
    assert results.manifest["longer_timeouts"] == {"t0": 192.0}
    sandbox.seconds = lambda job: 50.0 if job.source.startswith("t0 right") else 0.5
    with pytest.raises(ChakuError, match=r"t0 \(timed_out.*on a slow machine give more seconds with --timeout"):
        score_samples(benchmark, tasks, samples(["right"], ["right"], ["right"]), tmp_path / "slower")


def test_a_killed_scoring_keeps_the_limits_that_were_measured(sandbox, tmp_path):
    benchmark, tasks = little(timeout=3.0)
    given = samples(["right 2"], ["right 2"], ["right 2"])
    sandbox.seconds, sandbox.killed_after = lambda job: 2.0, 8
    with pytest.raises(KeyboardInterrupt):
        score_samples(benchmark, tasks, given, tmp_path)
    sandbox.seconds, sandbox.killed_after = lambda job: 2.5, None
    assert score_samples(benchmark, tasks, given, tmp_path).manifest["longer_timeouts"] == dict.fromkeys(
        ("t0", "t1", "t2"), 12.0
    )
    assert sum(sandbox.ran[f"t{number} right {part}"] for number in range(3) for part in range(2)) == 6


def test_a_killed_scoring_goes_on_where_it_was(sandbox, tmp_path):
    benchmark, tasks = little(20)
    given = samples(*[["wrong", f"also wrong {number}", "right"] for number in range(20)])
    sandbox.killed_after = 75
    with pytest.raises(KeyboardInterrupt):
        score_samples(benchmark, tasks, given, tmp_path)
    assert not (tmp_path / "results.json").exists()
    sandbox.killed_after = None
    results = score_samples(benchmark, tasks, given, tmp_path)
    assert sum(sandbox.ran.values()) <= 2 * 60 + 1  # one completion had one of its two programs run
    fresh = score_samples(benchmark, tasks, given, tmp_path / "fresh")
    assert results == fresh
    assert (tmp_path / "samples.jsonl").read_text() == (tmp_path / "fresh" / "samples.jsonl").read_text()


def test_a_sandbox_that_fails_once_is_asked_again(sandbox, tmp_path):
    benchmark, tasks = little()
    sandbox.broken = lambda job: "odd" in job.source and sandbox.ran[job.source] == 1
    results = score_samples(benchmark, tasks, samples(["odd"], ["right"], ["odd right"]), tmp_path)
    assert results.verdicts == {"passed": 2, "failed": 1}


def test_a_sandbox_that_fails_twice_is_never_a_score(sandbox, tmp_path):
    benchmark, tasks = little()
    sandbox.broken = lambda job: "odd" in job.source
    with pytest.raises(
        ChakuError, match="failed twice on 1 of 3 programs: sandbox_error of t0 odd 0; nothing is scored"
    ):
        score_samples(benchmark, tasks, samples(["odd"], ["right"], ["wrong"]), tmp_path)
    assert not (tmp_path / "results.json").exists()
    sandbox.broken = lambda job: False
    assert score_samples(benchmark, tasks, samples(["odd"], ["right"], ["wrong"]), tmp_path).num_passed == 1
    assert sandbox.ran["t1 right 0"] == 1


def test_a_k_that_some_problem_has_no_samples_for_is_refused_by_name(sandbox, tmp_path):
    benchmark, tasks = little()
    given = samples(["right"] * 10, ["wrong"] * 9, ["right"] * 12)
    with pytest.raises(ChakuError, match="pass@10 needs 10 samples of every problem, but t1 has 9"):
        score_samples(benchmark, tasks, given, tmp_path, Scoring(ks=(1, 10)))
    with pytest.raises(ChakuError, match="there is no pass@0"):
        score_samples(benchmark, tasks, given, tmp_path, Scoring(ks=(0,)))
    assert not sandbox.ran
    assert list(score_samples(benchmark, tasks, given, tmp_path).pass_at_k) == [1]
    given.append(Sample("t1", 9, "right"))
    assert list(score_samples(benchmark, tasks, given, tmp_path).pass_at_k) == [1, 10]


def test_the_manifest_says_what_a_score_rests_on(sandbox, tmp_path):
    benchmark, tasks = little(timeout=7.0, memory_mb=99)
    given = samples(["right"], ["right"], ["right"])
    record = score_samples(benchmark, tasks, given, tmp_path).manifest
    assert (record["timeout"], record["memory_mb"], record["isolation"]) == (7.0, 99, "sandbox")
    assert (record["num_references"], record["partial"]) == (3, False)
    assert record["languages"] == {"python": f"Python {record['python']}"}  # the tool's own words
    assert {"chaku", "python", "torch", "data_sha256", "samples_sha256"} <= record.keys()
    assert record["prompt_form"] is record["temperature"] is None  # not known of samples that others made
    scoring = Scoring(timeout=2.5, memory_mb=50, num_workers=3, isolated=False)
    other = score_samples(benchmark, tasks, given, tmp_path, scoring, {"prompt_form": "plain"}).manifest
    assert (other["timeout"], other["memory_mb"], other["prompt_form"]) == (2.5, 50, "plain")
    assert other["isolation"] == "none: --unsafe-no-sandbox"
    assert sandbox.asked[-1] == {"timeout": 2.5, "memory_mb": 50, "num_workers": 3, "isolated": False}
    assert other["data_sha256"] == record["data_sha256"]
    tasks[0] = replace(tasks[0], data={"test": "another"})
    assert score_samples(benchmark, tasks, given, tmp_path).manifest["data_sha256"] != record["data_sha256"]
    partial = score_samples(benchmark, tasks, given[:2], tmp_path, Scoring(partial=True))
    assert partial.manifest["partial"]
    assert partial.num_problems == 2


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"memory_mb": -1}, {"num_workers": -2}])
def test_limits_that_are_none_are_refused(sandbox, tmp_path, wrong):
    benchmark, tasks = little()
    with pytest.raises(ChakuError, match="must be above 0"):
        score_samples(benchmark, tasks, samples(["right"], ["right"], ["right"]), tmp_path, Scoring(**wrong))


def test_nothing_runs_where_programs_cannot_be_isolated(sandbox, tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "check_sandbox", lambda: "no sandbox here; install one")
    benchmark, tasks = little()
    with pytest.raises(ChakuError, match="no sandbox here; install one"):
        score_samples(benchmark, tasks, samples(["right"], ["right"], ["right"]), tmp_path)
    assert not sandbox.ran


def test_a_text_is_judged_without_programs(tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "check_sandbox", lambda: "no sandbox here")

    def judge(task, completion, verdicts):
        assert verdicts == []
        return Judgement(
            "exact" if completion == "right" else "other", completion == "right", measures={"length": len(completion)}
        )

    benchmark, tasks = little(jobs=None, judge=judge, languages=())
    results = score_samples(benchmark, tasks, samples(["right"], ["wrong one"], ["right"]), tmp_path)
    assert results.measures == {"length": pytest.approx(19 / 3)}
    assert results.verdicts == {"exact": 2, "other": 1}
    assert json.loads((tmp_path / "samples.jsonl").read_text().splitlines()[1])["measures"] == {"length": 9}


@sandboxed
def test_a_file_in_human_evals_form_is_scored_for_real(problems, write_samples, tmp_path):
    path = write_samples(
        ("Little/add", "    return a + b\n"),
        ("Little/add", "    return a - b\n"),
        ("Little/times", "    raise SystemExit(0)\n"),
        ("Little/times", "    while True:\n        pass\n"),
        (
            "Little/plus",
            "    class Equal:\n        def __eq__(self, other):\n            return True\n    return Equal()\n",
        ),
        ("Little/plus", "    return undefined\n"),
    )
    results = score_file(HUMANEVAL, path, tmp_path / "out", problems=problems, scoring=Scoring(timeout=1, ks=(1, 2)))
    assert results.pass_at_k == {1: pytest.approx(1 / 6), 2: pytest.approx(1 / 3)}
    lines = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    assert [line["verdict"] for line in lines] == ["passed", "failed", "failed", "timed_out", "failed", "failed"]
    assert lines[1]["reason"] == "AssertionError: assert candidate(6, 3) == 9"
    assert lines[5]["reason"].startswith("NameError")


@sandboxed
@pytest.mark.skipif(
    not os.environ.get("CHAKU_BENCHMARKS"), reason="CHAKU_BENCHMARKS is not set: HumanEval is NOT tested"
)
def test_all_humaneval_solutions_pass(write_samples):
    tasks = HUMANEVAL.load(None)
    assert len(tasks) == 164
    path = write_samples(*((task.task_id, task.references[0]) for task in tasks))
    assert score_file(HUMANEVAL, path).pass_at_k == {1: 1.0}


FENCED = "Here is the function:\n```python\ndef f():\n    return 1\n```\n"


@sandboxed
def test_chat_replies_that_were_not_extracted_are_told_with_what_to_do(problems, write_samples):
    names = ("Little/add", "Little/times", "Little/plus")
    results = score_file(HUMANEVAL, write_samples(*((name, FENCED) for name in names)), problems=problems)
    [note] = results.notes
    assert note.startswith("3 of 3 samples are syntax errors with a Markdown fence")
    assert "--extract" in note
    assert f"  NOTE: {note}" in result_in_lines(results)
    half = write_samples(*((name, FENCED) for name in names[:1]), *((name, "    return a - b\n") for name in names[1:]))
    assert score_file(HUMANEVAL, half, problems=problems).notes == ()


@pytest.mark.parametrize(
    ("judgement", "noted"),
    [
        (Judgement("failed", False, "SyntaxError: invalid syntax"), True),
        (Judgement("failed", False, "case 1: IndentationError: unexpected indent"), True),
        (Judgement("compile_error", False, "a.cpp:1: error"), True),
        (Judgement("failed", False, "PHP Parse error: syntax error"), True),
        (Judgement("failed", False, "AssertionError"), False),
        (Judgement("passed", True), False),
    ],
)
def test_only_syntax_errors_look_like_replies(judgement, noted):
    pairs = [(Sample("t0", 0, FENCED), judgement)]
    assert ("with --extract" in unextracted(HUMANEVAL, pairs, of_others=True)) is noted
    assert ("with --chat" in unextracted(HUMANEVAL, pairs, of_others=False)) is noted
    assert ("as little has no chat form" in unextracted(little()[0], pairs, of_others=True)) is noted
    assert unextracted(HUMANEVAL, [(Sample("t0", 0, "no fence"), judgement)], of_others=True) == ""
    assert unextracted(replace(HUMANEVAL, opening=""), pairs, of_others=True) == ""
