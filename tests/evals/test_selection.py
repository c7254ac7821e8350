"""Which problems are measured: those that are named with --exclude are not, nor those that lack something here."""

from dataclasses import replace

import pytest

from chaku import ChakuError
from chaku.cli import main
from chaku.evals.benchmark import Task
from chaku.evals.benchmarks.humaneval import HUMANEVAL
from chaku.evals.run import score_file
from chaku.evals.score import Scoring
from chaku.evals.selection import select_tasks
from chaku.sandbox.probe import check_sandbox

sandboxed = pytest.mark.skipif(check_sandbox() is not None, reason=f"programs are NOT run: {check_sandbox()}")
TASKS = [Task("a", "1"), Task("b", "2", lacks="needs boost"), Task("c", "3")]


def test_excluded_problems_are_left_out_and_recorded():
    chosen, record = select_tasks(HUMANEVAL, TASKS, exclude=["c"])
    assert [task.task_id for task in chosen] == ["a"]
    assert record == {"excluded": ["c"], "left_out": {"b": "needs boost"}}
    assert select_tasks(HUMANEVAL, TASKS)[1] == {"left_out": {"b": "needs boost"}}


def test_an_unknown_name_and_all_names_are_refused():
    with pytest.raises(ChakuError, match=r"--exclude d: humaneval has no such problem; its ids are like a$"):
        select_tasks(HUMANEVAL, TASKS, exclude=["a", "d"])
    with pytest.raises(ChakuError, match="--exclude names every problem"):
        select_tasks(HUMANEVAL, TASKS, exclude=["a", "b", "c"])
    with pytest.raises(ChakuError, match="no problem can be judged here: a has no test; install the named tools"):
        select_tasks(HUMANEVAL, [replace(TASKS[0], lacks="has no test")])


@sandboxed
def test_samples_of_an_excluded_problem_are_passed_over(problems, write_samples, capsys):
    right = "    return a + b\n"
    samples = write_samples(("Little/add", right), ("Little/times", right), ("Little/plus", right))
    result = score_file(HUMANEVAL, samples, problems=problems, scoring=Scoring(exclude=("Little/times",)))
    assert (result.num_problems, result.num_passed, result.manifest["excluded"]) == (2, 2, ["Little/times"])
    command = ["eval", "score", "--benchmark", "humaneval", "--samples", str(samples), "--problems", str(problems)]
    assert main([*command, "--exclude", "Little/add", "Little/plus"]) == 0
    assert "EXCLUDED: Little/add, Little/plus" in capsys.readouterr().out
