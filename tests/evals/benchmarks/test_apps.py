"""APPS: correct programs pass however they read and write; nothing but the expected answer does."""

import json
from dataclasses import replace

import pytest

from chaku import ChakuError
from chaku.evals.benchmarks.apps import APPS
from evals.running import benchmark_file, chosen, judge, sample_or_all

ZERO_SHOT, TWO_SHOT = APPS

# Each prints the sum of the numbers in all lines after the first.
READERS = {
    "input": "n = int(input())\nprint(sum(sum(map(int, input().split())) for _ in range(n)))",
    "input, then read": "import sys\nn = int(input())\nprint(sum(map(int, sys.stdin.read().split())))",
    "buffer.readline": """
import sys
readline = sys.stdin.buffer.readline
n = int(readline())
print(sum(sum(map(int, readline().split())) for _ in range(n)))
""",
    "for line in stdin": """
import sys
lines = [line for line in sys.stdin]
print(sum(sum(map(int, line.split())) for line in lines[1:]))
""",
    "stdout.buffer": """
import sys
data = sys.stdin.buffer.read().split()
sys.stdout.buffer.write(str(sum(map(int, data[1:]))).encode())
""",
    "os.read": "import os\ndata = os.read(0, 10 ** 6).split()\nprint(sum(map(int, data[1:])))",
    "open(0)": "data = open(0).read().split()\nprint(sum(map(int, data[1:])))",
    "global": """
total = 0
def add(number):
    global total
    total += number
for _ in range(int(input())):
    for number in map(int, input().split()):
        add(number)
print(total)
""",
    "main guard": """
def main():
    n = int(input())
    print(sum(sum(map(int, input().split())) for _ in range(n)))
if __name__ == "__main__":
    main()
""",
    "sys.exit": "import sys\nprint(sum(map(int, sys.stdin.read().split()[1:])))\nsys.exit()",
    "from __future__": "from __future__ import annotations\nprint(sum(map(int, open(0).read().split()[1:])))",
    "the runner's imports": "data = sys.stdin.read().split()\nprint(sum(map(int, data[1:])))",
}


def problem(number, tests, solutions=(), **fields):
    return {
        "problem_id": number,
        "question": "Add them up.\n",
        "input_output": json.dumps(tests),
        "solutions": json.dumps(list(solutions)),
        "difficulty": "introductory",
        "starter_code": "",
        **fields,
    }


SUMS = problem(7, {"inputs": ["2\n1 2\n3\n", "1\n10 -4\n"], "outputs": ["6\n", "6\n"]}, ["print(6)"])
CALL = problem(
    8,
    {"fn_name": "order", "inputs": [[[3, 1, 2]], [[5, 4]]], "outputs": [[1, 2, 3], [4, 5]]},
    ["def order(values):\n    return sorted(values)"],
    starter_code="def order(values):\n",
    difficulty="interview",
)


def load(tmp_path, *rows, benchmark=ZERO_SHOT):
    path = tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return benchmark.load(path)


def passes(task, completions, tmp_path):
    return [
        verdict.passed for verdict in judge(ZERO_SHOT, [(task, completion) for completion in completions], tmp_path)
    ]


def test_prompts_are_the_papers(tmp_path):
    sums, call = load(tmp_path, SUMS, CALL)
    assert sums.prompt == "\nQUESTION:\nAdd them up.\n\nUse Standard Input format\nANSWER:\n"
    assert call.prompt == "\nQUESTION:\nAdd them up.\n\ndef order(values):\n\nUse Call-Based format\nANSWER:\n"
    assert (call.task_id, call.group) == ("8", "interview")


def test_two_solved_problems_come_first_when_a_file_gives_them(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAKU_BENCHMARKS", str(tmp_path))
    with pytest.raises(ChakuError, match=r"examples.jsonl does not exist; save 2 of APPS's training problems"):
        load(tmp_path, SUMS, benchmark=TWO_SHOT)
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "examples.jsonl").write_text("".join(json.dumps(problem) + "\n" for problem in (SUMS, CALL)))
    [shown] = load(tmp_path, SUMS, benchmark=TWO_SHOT)
    sums, call = load(tmp_path, SUMS, CALL)
    assert shown.prompt == f"{sums.prompt}print(6)\n{call.prompt}{call.references[0]}\n{sums.prompt}"


def test_correct_programs_pass(tmp_path):
    [task] = load(tmp_path, SUMS)
    judgements = judge(ZERO_SHOT, [(task, program) for program in READERS.values()], tmp_path)
    assert {how: judgement.reason for how, judgement in zip(READERS, judgements, strict=True)} == dict.fromkeys(
        READERS, ""
    )
    assert all(judgement.passed for judgement in judgements)


def test_wrong_programs_fail_and_say_where(tmp_path):
    [task] = load(tmp_path, SUMS)
    programs = [
        "print(6)\nprint(6)",
        "print(1 / 0)",
        "print(6.5)",
        "import sys\nprint(6)\nsys.exit(1)",
        "while True: pass",
    ]
    judgements = judge(ZERO_SHOT, [(task, program) for program in programs], tmp_path, patience=0.25)
    assert [judgement.passed for judgement in judgements] == [False] * 5
    assert judgements[0].reason == "case 1: printed '6\\n6\\n', not '6\\n'"
    assert judgements[1].reason == "case 1: ZeroDivisionError: division by zero"
    assert judgements[4].verdict == "timed_out"
    only_first = judge(ZERO_SHOT, [(task, "print(6 if input() == '2' else 7)")], tmp_path)[0]
    assert only_first.reason.startswith("case 2: printed '7")


def test_calls_of_a_function_and_of_a_class(tmp_path):
    [task] = load(tmp_path, CALL)
    right = [
        "def order(values):\n    values.sort()\n    return tuple(values)",
        "class Solution:\n    def order(self, values: List[int]) -> List[int]:\n        return sorted(values)",
    ]
    wrong = [
        "def order(values):\n    return min(values)",  # the first element alone
        "def order(values):\n    return sorted(values)[::-1]",
        "def order(values):\n    return [1, 2, 3]",
        "def other(values):\n    return sorted(values)",
        "class Always:\n    def __eq__(self, other):\n        return True\ndef order(values):\n    return Always()",
        "raise SystemExit(0)",
    ]
    assert passes(task, right + wrong, tmp_path) == [True] * 2 + [False] * 6


def test_a_value_may_be_wrapped_only_where_every_one_is(tmp_path):
    double = "def double(value):\n    return 2 * value"
    tests = {"fn_name": "double", "inputs": [[1], [2]], "outputs": [[2], [4]]}
    wrapped, not_all = load(tmp_path, problem(1, tests), problem(2, {**tests, "outputs": [[2], [4, 4]]}))
    assert passes(wrapped, [double], tmp_path) == [True]
    assert passes(not_all, [double], tmp_path) == [False]


def test_whole_numbers_as_keys_come_back(tmp_path):
    tests = {"fn_name": "most", "inputs": [[{"1": 3, "22": 9}]], "outputs": [{"22": 9}]}
    [task] = load(tmp_path, problem(1, tests))
    program = (
        "def most(counts):\n    key = max(counts, key=lambda each: counts[each] + each)\n    return {key: counts[key]}"
    )
    assert passes(task, [program], tmp_path) == [True]


def test_files_that_cannot_be_judged_by_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ChakuError, match="problem 1 has no tests"):
        load(tmp_path, problem(1, {"inputs": [], "outputs": []}))
    with pytest.raises(ChakuError, match="problem 2 has no tests"):
        load(tmp_path, {**SUMS, "problem_id": 2, "input_output": ""})
    with pytest.raises(ChakuError, match="inputs and outputs do not match"):
        load(tmp_path, problem(1, {"inputs": ["1", "2"], "outputs": ["1"]}))
    with pytest.raises(ChakuError, match=r"nowhere does not exist; unpack https"):
        ZERO_SHOT.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ChakuError, match=r"has no folders with a question.txt"):
        ZERO_SHOT.load(tmp_path / "empty")
    monkeypatch.delenv("CHAKU_BENCHMARKS", raising=False)
    with pytest.raises(ChakuError, match="CHAKU_BENCHMARKS is not set; unpack https"):
        ZERO_SHOT.load(None)


def test_folders_in_the_published_layout(tmp_path):
    folder = tmp_path / "test" / "0042"
    folder.mkdir(parents=True)
    (folder / "question.txt").write_text("Add them up.\n")
    (folder / "input_output.json").write_text(CALL["input_output"])
    (folder / "starter_code.py").write_text(CALL["starter_code"])
    (folder / "metadata.json").write_text(json.dumps({"difficulty": "competition", "url": "https://example.org"}))
    [task] = ZERO_SHOT.load(tmp_path / "test")
    [row] = load(tmp_path, CALL)
    assert (task.task_id, task.group, task.references) == ("0042", "competition", ())
    assert (task.prompt, task.data) == (row.prompt, row.data)


@sample_or_all
def test_the_real_problems_solutions_pass(choose, tmp_path):
    tasks = ZERO_SHOT.load(benchmark_file("apps/train"))
    assert len(tasks) >= 5
    solved = [replace(task, references=(reference,)) for task in tasks for reference in task.references]
    pairs = [(task, task.references[0]) for task in chosen(choose, solved)]
    assert len(pairs) >= 20
    failed = [
        (task.task_id, judgement.reason)
        for (task, _), judgement in zip(pairs, judge(ZERO_SHOT, pairs, tmp_path, patience=4), strict=True)
        if not judgement.passed
    ]
    # Three solutions of 2287 return outside of any function: they are no programs.
    assert [pair for pair in failed if pair[0] != "2287" or "'return' outside function" not in pair[1]] == []
    assert len(failed) <= 3


@pytest.mark.parametrize("name", ["same_value", "Decimal"])
def test_a_function_may_be_called_as_one_of_the_checkers_is(tmp_path, name):
    tests = {"fn_name": name, "inputs": [[[3, 1, 2]], [[5, 4]]], "outputs": [[1, 2, 3], [4, 5]]}
    right = f"def {name}(values):\n    return sorted(values)"
    [task] = load(tmp_path, problem(9, tests, [right], starter_code=f"def {name}(values):\n"))
    judged = judge(ZERO_SHOT, [(task, right), (task, right.replace("sorted(values)", "values"))], tmp_path)
    assert [judgement.passed for judgement in judged] == [True, False]
