"""MBPP's prompts to the character, its splits, and its tests as they are run."""

import json
import os

import pytest

from chaku import ChakuError
from chaku.evals.benchmark import all_pass
from chaku.evals.benchmarks.mbpp import MBPP, MBPP_SANITIZED, MBPP_ZERO_SHOT, between_tags
from chaku.evals.generate import Sampling, generate_samples
from chaku.evals.run import score_file
from chaku.evals.sample_files import read_raw_samples
from chaku.sandbox import pool
from chaku.sandbox.probe import check_sandbox
from chaku.sandbox.verdict import Job
from evals.running import chosen, sample_or_all

sandboxed = pytest.mark.skipif(check_sandbox() is not None, reason=f"programs are NOT run: {check_sandbox()}")


def row(number, **changes):
    name = f"f{number}"
    return {
        "text": f"Write a function that adds {number}.",
        "code": f"def {name}(a):\r\n    return a + {number}",
        "task_id": number,
        "test_setup_code": "",
        "test_list": [f"assert {name}({value}) == {value + number}" for value in range(4)],
        "challenge_test_list": [],
        **changes,
    }


@pytest.fixture
def write(tmp_path):
    def write(*rows):
        path = tmp_path / "mbpp.jsonl"
        path.write_text("".join(json.dumps(fields) + "\n" for fields in rows))
        return path

    return write


def test_three_solved_problems_come_before_the_one_to_solve(write):
    [task] = [task for task in MBPP.load(write(*map(row, (1, 2, 3, 4, 11)))) if task.in_split]
    assert task.task_id == "11"
    shots = "".join(
        f"You are an expert Python programmer, and here is your task: Write a function that adds {number}. "
        f"Your code should pass these tests:\n\nassert f{number}(0) == {number}\nassert f{number}(1) == {number + 1}\n"
        f"assert f{number}(2) == {number + 2}\n[BEGIN]\ndef f{number}(a):\n    return a + {number}\n[DONE]\n\n"
        for number in (2, 3, 4)
    )
    assert task.prompt == shots + (
        "You are an expert Python programmer, and here is your task: Write a function that adds 11. "
        "Your code should pass these tests:\n\nassert f11(0) == 11\nassert f11(1) == 12\nassert f11(2) == 13\n[BEGIN]\n"
    )
    assert MBPP.cut_text(task, "def f11(a):\n    pass\n[DONE]\n\nYou are") == "def f11(a):\n    pass\n"


def test_zero_shot_asks_for_tags(write):
    [task] = MBPP_ZERO_SHOT.load(write(row(11)))
    assert task.prompt == (
        "[INST] You are an expert Python programmer, and here is your task: Write a function that adds 11.\n"
        "Your code should pass these tests:\n\nassert f11(0) == 11\nassert f11(1) == 12\nassert f11(2) == 13\n"
        "Your code should start with a [PYTHON] tag and end with a [/PYTHON] tag. [/INST]"
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (" [PYTHON]\nx = 1\n", "\nx = 1\n"),
        (" [PYTHON]\nx = 1\n[/PYTHON] That was it.", "\nx = 1\n"),
        ("x = 1", "x = 1"),
        ("x = 1\n[/PYTHON] [PYTHON]", ""),
    ],
)
def test_the_code_stands_between_the_tags(text, code):
    assert between_tags(None, text) == code


def test_the_sanitized_file_is_a_list_with_its_own_names(tmp_path):
    renamed = [{**row(number), "prompt": f"Add {number}.", "test_imports": ["import math"]} for number in (2, 3, 4, 11)]
    for fields in renamed:
        del fields["text"], fields["test_setup_code"]
    (tmp_path / "sanitized-mbpp.json").write_text(json.dumps(renamed))
    task = MBPP_SANITIZED.load(tmp_path / "sanitized-mbpp.json")[-1]
    assert "here is your task: Add 11. Your code" in task.prompt
    [job] = MBPP_SANITIZED.jobs(task, "x = 1")
    assert job.prelude == "import math"
    assert len(job.tests) == 4


def test_problems_for_prompts_and_training_are_not_the_test(write):
    tasks = MBPP.load(write(*map(row, (1, 2, 3, 4, 10, 11, 510, 511, 974))))
    assert [task.task_id for task in tasks if task.in_split] == ["11", "510"]
    assert all(task.in_split for task in MBPP.load(write(*map(row, (1, 2, 3, 600)))))


def test_without_the_problems_for_the_prompt_nothing_is_asked(write, engine, tmp_path):
    tasks = MBPP.load(write(row(11)))
    with pytest.raises(ChakuError, match=r"mbpp: .* has no prompt \(3-shot, problems 2, 3 and 4.*\) for 11"):
        generate_samples(MBPP, tasks, engine, Sampling(), tmp_path)


def test_a_job_is_the_code_its_setup_and_each_assert(write):
    special = row(11, test_setup_code="root = Node(1)", code="class Node:\n    pass\ndef sum(a):\n    return a")
    special["test_list"] = ["assert set(sum([1])) == {1}", "assert sum('a') == 'a'"]
    [task] = MBPP.load(write(special))
    assert MBPP.jobs(task, "code") == [
        Job("code", tests=("root = Node(1)", *special["test_list"]), entry_point="sum")  # not the builtin
    ]


NODE = "class Node:\n    def __init__(self, v):\n        self.v = v\ndef f12(n):\n    return n.v"


@sandboxed
def test_right_code_passes_and_wrong_code_does_not(write):
    with_setup = row(12, test_setup_code="n = Node(5)", test_list=["assert f12(n) == 5"], code=NODE)
    like_a_builtin = row(13, code="def sum(a, b):\n    return a * b", test_list=["assert sum(2, 5) == 10"])
    tasks = MBPP.load(write(row(11), with_setup, like_a_builtin))
    wrong = "def f11(a):\n    return a"
    jobs = [job for task in tasks for code in (task.references[0], wrong) for job in MBPP.jobs(task, code)]
    passed = [all_pass(tasks[0], "", [verdict]).passed for verdict in pool.run_many(jobs)]
    assert passed == [True, False] * 3


@sandboxed
@pytest.mark.skipif(not os.environ.get("CHAKU_BENCHMARKS"), reason="CHAKU_BENCHMARKS is not set: MBPP is NOT tested")
@pytest.mark.parametrize(("benchmark", "num_all", "num_split"), [(MBPP, 974, 500), (MBPP_SANITIZED, 427, 257)])
@sample_or_all
def test_mbpp_solutions_pass(benchmark, num_all, num_split, choose, write, write_samples, capsys):
    tasks = benchmark.load(None)
    assert (len(tasks), sum(task.in_split for task in tasks)) == (num_all, num_split)
    sample = chosen(choose, [task for task in tasks if choose == "all" or task.task_id != "123"])  # 123 takes seconds
    problems = None if choose == "all" else write(*(task.data for task in sample))
    path = write_samples(*((task.task_id, task.references[0]) for task in sample))
    assert len(read_raw_samples(path)) == len(sample) > 40
    results = score_file(benchmark, path, problems=problems)
    num_outside = sum(not task.in_split for task in sample)
    assert results.pass_at_k == {1: 1.0}
    assert (results.num_problems, results.manifest["num_outside_split"]) == (len(sample), num_outside)
    assert (
        f"{num_outside} of the {len(sample)} problems are not in the benchmark's test split" in capsys.readouterr().err
    )
