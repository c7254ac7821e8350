"""A benchmark's problem is recognised by its words, by its solution's tree, and by what a solution does."""

from dataclasses import replace
from functools import partial

import pytest

from chaku.evals.problems import Problem, kinds, load_problems
from chaku.evals.suite import BENCHMARKS
from chaku.instruct.contamination import Contamination, behaviour_job, function_trees, sieve_job
from chaku.instruct.evidence import Evidence, LedgerQuestion
from chaku.instruct.export import behaviour_hits
from chaku.sandbox.pool import run_many, run_stream
from chaku.sandbox.verdict import Job

SOLUTION = """def count_above(values: list, bound: int) -> int:
    \"\"\"Words.\"\"\"
    number = 0
    for value in values:
        if value > bound:
            number += 1
    return number
"""
PROBLEM = Problem(
    "little 1",
    "Given a list of numbers and a bound, count how many numbers are above the bound",
    (SOLUTION,),
    Job(
        SOLUTION,
        tests=("assert count_above([1, 5, 6], 3) == 2", "assert count_above([], 3) == 0"),
        entry_point="count_above",
    ),
)


def test_eight_words_in_a_row_are_a_hit() -> None:
    found = Contamination([PROBLEM])
    assert found.question("Please: given a list of numbers, and a bound!") == "little 1"
    assert found.question("Given a list of numbers and a limit, say something") is None


def test_a_tree_is_the_same_under_other_names_without_words_and_types() -> None:
    renamed = SOLUTION.replace("value", "x").replace("number", "n").replace('    """Words."""\n', "")
    renamed = renamed.replace(": list", "").replace(": int", "").replace(" -> int", "").replace("count_above", "f")
    found = Contamination([PROBLEM])
    assert found.solution(f"import os\n{renamed}") == "little 1"
    assert found.solution(renamed.replace(">", ">=")) is None
    assert found.solution("def f(:") is None


def test_small_functions_are_everybodys() -> None:
    assert list(function_trees("def f(xs):\n    return sorted(set(xs))\n")) == []


LOOPS = Problem("loops", "", (), Job("", tests=("while below([7], 3) == 0: pass",), entry_point="below"))
SAME = Problem("same", "", (), Job("", tests=("assert g([2], 1) == 1",), prelude="import math", entry_point="g"))


def test_what_passes_a_problems_tests_behaves_like_its_solution() -> None:
    found = Contamination([PROBLEM])
    assert found.alike(([3], 4)) == [PROBLEM]
    assert found.alike(("abc", 4)) == []
    assert kinds(([1], "a", [], 2.0)) == ("list of int", "str", "list", "float")
    other = "def g(a, b):\n    return sum(x > b for x in a)\n"
    for source, passes in ((other, True), (other.replace(">", "<"), False)):
        assert run_many([behaviour_job(PROBLEM, source, "g")])[0].passed == passes


def test_the_sieve_says_what_fails_and_not_what_it_did_not_reach() -> None:
    below = "def g(a, b):\n    return sum(x < b for x in a)\n"
    above = below.replace("<", ">")
    verdicts = run_many([sieve_job([PROBLEM, SAME, LOOPS, SAME], text, "g") for text in (above, below)], timeout=0.5)
    assert [not reason for reason in verdicts[0].tests] == [True, True, True, True]
    assert [not reason for reason in verdicts[1].tests][:2] == [False, False]
    assert len(verdicts[1].tests) <= 3


def test_each_way_to_behave_like_a_benchmark_is_a_hit_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaku.instruct.export.run_stream", partial(run_stream, timeout=0.5))
    evidence = Evidence(entry_point="g", tests=("assert g([3], 4) == 0",), accepted=0)
    above = "def g(a, b):\n    return sum(x > b for x in a)\n"
    rows = [
        LedgerQuestion("above", "", "", "kept", replace(evidence, solutions=(above,))),
        LedgerQuestion("below", "", "", "kept", replace(evidence, solutions=(above.replace(">", "<"),))),
        LedgerQuestion(
            "texts", "", "", "kept", replace(evidence, tests=("assert g('a', 1) == 0",), solutions=(above,))
        ),
    ]
    problems = Contamination([LOOPS, PROBLEM, SAME])
    assert behaviour_hits(rows, problems) == {"above": ["little 1", "loops", "same"]}


def test_the_problems_of_a_benchmark_come_with_their_tests() -> None:
    problems = load_problems(["first_steps"])
    assert len(problems) == len(BENCHMARKS["first_steps"].load(None))
    assert sum(problem.argument_kinds is not None for problem in problems) > 20
    found = Contamination(problems)
    assert any(found.solution(problem.solutions[0]) == problem.name for problem in problems)
    jobs = [problem.job for problem in problems if problem.job]
    assert all(verdict.passed for verdict in run_many(jobs))
