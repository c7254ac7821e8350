"""LiveCodeBench on problems of this file's own in its published format."""

import base64
import json
import pickle
import zlib

import pytest

from chaku import ChakuError
from chaku.cli import main
from chaku.evals.benchmarks import livecodebench_tests
from chaku.evals.benchmarks.livecodebench import LIVECODEBENCH
from chaku.evals.chat import in_chat
from chaku.evals.selection import select_tasks
from chaku.sandbox.probe import check_sandbox
from evals.running import judge

sandboxed = pytest.mark.skipif(check_sandbox() is not None, reason=f"programs are NOT run: {check_sandbox()}")


def packed(value, protocol=4):
    return base64.b64encode(zlib.compress(pickle.dumps(value, protocol))).decode()


def cases(kind, *pairs):
    return [{"input": given, "output": output, "testtype": kind} for given, output in pairs]


STDIN = {
    "question_title": "Sum",
    "question_content": "Add the numbers of a line.",
    "platform": "atcoder",
    "question_id": "abc301_a",
    "contest_id": "abc301",
    "contest_date": "2023-05-13T00:00:00",
    "starter_code": "",
    "difficulty": "easy",
    "public_test_cases": json.dumps(cases("stdin", ("1 2\n", "3\n"))),
    "private_test_cases": packed(json.dumps(cases("stdin", ("4 5 6\n", "15\n"), ("0\n", "0\n")))),
    "metadata": "{}",
}
METHOD = {
    **STDIN,
    "platform": "leetcode",
    "question_id": "2777",
    "contest_date": "2024-01-06T00:00:00",
    "starter_code": "class Solution:\n    def pairs(self, nums: List[int], k: int) -> List[int]:\n        ",
    "difficulty": "medium",
    "public_test_cases": json.dumps(cases("functional", ("[1, 2]\n2", "[2]"))),
    "private_test_cases": json.dumps(cases("functional", ("[5]\n3", "[15]"))),
    "metadata": json.dumps({"func_name": "pairs"}),
}


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "test.jsonl", METHOD, STDIN)


def test_problems_come_by_day_with_public_and_private_tests(path):
    first, second = LIVECODEBENCH.load(path)
    assert [(task.task_id, task.date, task.group) for task in (first, second)] == [
        ("abc301_a", "2023-05-13", "easy"),
        ("2777", "2024-01-06", "medium"),
    ]
    assert first.data == {"inputs": ["1 2\n", "4 5 6\n", "0\n"], "outputs": ["3\n", "15\n", "0\n"]}
    assert second.data["inputs"] == [[[1, 2], 2], [[5], 3]]
    assert (second.data["outputs"], second.data["fn_name"]) == ([[2], [15]], "pairs")


def test_questions_are_the_generic_ones(path):
    first, second = LIVECODEBENCH.load(path)
    assert first.prompt.startswith(
        "### Question:\nAdd the numbers of a line.\n\n### Format: Read the inputs from stdin"
    )
    assert first.prompt.endswith(
        "writes output to STDOUT.\n```python\n# YOUR CODE HERE\n```\n\n"
        "### Answer: (use the provided format with backticks)\n\n"
    )
    assert f"within delimiters.\n```python\n{METHOD['starter_code']}\n```\n\n" in second.prompt
    chat = in_chat(LIVECODEBENCH, {}).load(path)
    assert chat[0].prompt == (
        "You are an expert Python programmer. You will be given a question (problem specification) and will generate a "
        f"correct Python program that matches the specification and passes all tests.\n\n{first.prompt}"
    )


def test_the_files_of_a_folder_are_one_set(path, tmp_path, monkeypatch):
    folder = tmp_path / "livecodebench"
    folder.mkdir()
    write(folder / "test.jsonl", METHOD)
    write(folder / "test2.jsonl", STDIN)
    monkeypatch.setenv("CHAKU_BENCHMARKS", str(tmp_path))
    assert LIVECODEBENCH.load(None) == LIVECODEBENCH.load(path)
    write(folder / "test3.jsonl", STDIN)
    with pytest.raises(ChakuError, match="two problems with the id abc301_a"):
        LIVECODEBENCH.load(None)


PROGRAM = "import sys\nif __name__ == '__main__':\n    print(sum(map(int, sys.stdin.readline().split())))\n"
SOLUTION = "class Solution:\n    def pairs(self, nums: List[int], k: int) -> List[int]:\n        return [{}]\n"


def test_programs_and_methods_are_judged_by_all_tests(path, tmp_path):
    first, second = LIVECODEBENCH.load(path)
    pairs = [
        (first, PROGRAM),
        (first, "print(3)"),
        (second, SOLUTION.format("max(nums) * k if len(nums) == 1 else 2")),
        (second, SOLUTION.format("2")),
        (second, SOLUTION.format("2").replace("[2]", "2")),
        (first, LIVECODEBENCH.wrong(first)),
    ]
    judgements = judge(LIVECODEBENCH, pairs, tmp_path)
    assert [judgement.passed for judgement in judgements] == [True, False, True, False, False, False]
    assert "case 2" in judgements[1].reason


def test_the_last_block_is_the_answer(path):
    first, second = LIVECODEBENCH.load(path)
    reply = f"```python\nprint(0)\n```\nBetter:\n```python\n{PROGRAM}```\nIt prints\n```\n15 words here\n```"
    assert LIVECODEBENCH.cut_text(first, reply) == PROGRAM
    method = SOLUTION.format("2")
    reply = f"```python\n{method}```\nUse:\n```python\nprint(Solution())\n```"
    assert LIVECODEBENCH.cut_text(second, reply) == method
    assert LIVECODEBENCH.cut_text(first, PROGRAM) == PROGRAM


@pytest.mark.parametrize("protocol", range(6))
def test_pickled_texts_of_every_protocol_are_read(protocol):
    text = json.dumps(cases("stdin", ("ä\n", "☃" * 300)), ensure_ascii=False)
    assert livecodebench_tests.unpack("x", packed(text, protocol)) == text


class Runs:
    def __reduce__(self):
        return (print, ("a pickle ran this",))


@pytest.mark.parametrize("value", [Runs(), [Runs()], {"a": Runs()}, ["text"], 7, b"bytes"])
def test_a_pickle_of_anything_else_is_refused_and_never_run(value, tmp_path, capsys):
    path = write(tmp_path / "test.jsonl", {**STDIN, "private_test_cases": packed(value)})
    with pytest.raises(ChakuError, match=r"problem abc301_a: its private tests are REFUSED: a pickle of more than"):
        LIVECODEBENCH.load(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"private_test_cases": "no base64!"}, "cannot be decompressed"),
        ({"private_test_cases": base64.b64encode(b"not zlib").decode()}, "cannot be decompressed"),
        ({"private_test_cases": base64.b64encode(zlib.compress(b"no pickle")).decode()}, "are not a pickle"),
        ({"private_test_cases": base64.b64encode(zlib.compress(b"x" * 999)[:-5]).decode()}, "or cut off"),
        ({"private_test_cases": packed("{broken")}, "in its tests or metadata"),
        ({"public_test_cases": "[]", "private_test_cases": "[]"}, "has no tests"),
        ({"public_test_cases": '[{"input": "1"}]'}, "a test has no input, output or testtype"),
        ({"metadata": '{"func_name": "f"}'}, "the testtype 'stdin' does not fit func_name 'f'"),
        ({"contest_date": "May"}, "contest_date is 'May'"),
    ],
)
def test_damaged_problems_are_named(change, message, tmp_path):
    with pytest.raises(ChakuError, match=f"problem abc301_a.*{message}"):
        LIVECODEBENCH.load(write(tmp_path / "test.jsonl", {**STDIN, **change}))


def test_tests_that_are_too_large_are_refused(monkeypatch, path):
    monkeypatch.setattr(livecodebench_tests, "MAX_BYTES", 20)
    with pytest.raises(ChakuError, match="over 0 MB or cut off"):
        LIVECODEBENCH.load(path)


def test_problems_are_chosen_by_their_days(path):
    tasks = LIVECODEBENCH.load(path)
    assert select_tasks(LIVECODEBENCH, tasks, since="2024-01-06")[0] == tasks[1:]
    assert select_tasks(LIVECODEBENCH, tasks, until="2023-05-13")[0] == tasks[:1]
    chosen, record = select_tasks(LIVECODEBENCH, tasks, "2023-01-01", "2024-12-31")
    assert (chosen, record) == (tasks, {"since": "2023-01-01", "until": "2024-12-31"})
    with pytest.raises(ChakuError, match="its problems are from 2023-05-13 to 2024-01-06"):
        select_tasks(LIVECODEBENCH, tasks, since="2025-01-01")
    with pytest.raises(ChakuError, match="--until 'May' is not a day; write it like"):
        select_tasks(LIVECODEBENCH, tasks, until="May")


@sandboxed
def test_replies_about_the_problems_of_a_time_are_scored(path, tmp_path, capsys):
    samples = tmp_path / "samples.jsonl"
    replies = {"abc301_a": f"So:\n```python\n{PROGRAM}```", "2777": "not asked"}
    write(samples, *({"task_id": name, "completion": reply} for name, reply in replies.items()))
    command = ["eval", "score", "--benchmark", "livecodebench", "--problems", str(path), "--until", "2023-12-31"]
    assert main([*command, "--samples", str(samples), "--extract", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["num_passed"], result["num_problems"]) == (1, 1)
    assert result["manifest"]["until"] == "2023-12-31"
