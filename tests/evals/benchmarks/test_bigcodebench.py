"""BigCodeBench on problems of this file's own in its published format."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from chaku import ChakuError
from chaku.cli import main
from chaku.evals.benchmarks.bigcodebench import BIGCODEBENCH, missing_modules
from chaku.evals.chat import in_chat
from chaku.evals.selection import select_tasks
from chaku.sandbox.probe import check_sandbox
from evals.running import judge

sandboxed = pytest.mark.skipif(check_sandbox() is not None, reason=f"programs are NOT run: {check_sandbox()}")
BY_NAME = {name.name: name for name in BIGCODEBENCH}
CODE_PROMPT = "import json\nimport urllib.request\ndef task_func(url):"
ROW = {
    "task_id": "BigCodeBench/900",
    "complete_prompt": """import json
import urllib.request

def task_func(url):
    '''Sum of a page of numbers.'''
""",
    "instruct_prompt": f"Add up a page.\nYou should write self-contained code starting with:\n```\n{CODE_PROMPT}\n```",
    "canonical_solution": "    with urllib.request.urlopen(url) as page:\n        return sum(json.load(page))\n",
    "code_prompt": CODE_PROMPT,
    "test": (
        "import unittest\nfrom unittest.mock import patch\nimport io\n\nclass TestCases(unittest.TestCase):\n"
        "    @patch('urllib.request.urlopen')\n    def test_sum(self, urlopen):\n"
        "        urlopen.return_value = io.BytesIO(b'[1, 2, 3]')\n"
        "        self.assertEqual(task_func('http://x'), 6)\n        urlopen.assert_called_once_with('http://x')\n"
        "    def test_module(self):\n        with patch('__test__.json.load', return_value=[5]):\n"
        "            with patch('urllib.request.urlopen'):\n                self.assertEqual(task_func('y'), 5)\n"
    ),
    "entry_point": "task_func",
    "doc_struct": "{}",
    "libs": "['json', 'urllib']",
}
LACKING = {**ROW, "task_id": "BigCodeBench/901", "test": f"import no_such_library.part\n{ROW['test']}"}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "bigcodebench.jsonl"
    path.write_text(json.dumps(ROW) + "\n" + json.dumps(LACKING) + "\n")
    return path


def test_both_splits_and_parquet_are_read(path, tmp_path):
    complete, _ = BY_NAME["bigcodebench-complete"].load(path)
    instruct, _ = BY_NAME["bigcodebench-instruct"].load(path)
    assert (complete.prompt, instruct.prompt) == (ROW["complete_prompt"], ROW["instruct_prompt"])
    parquet = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([ROW]), parquet)
    assert BY_NAME["bigcodebench-hard-complete"].load(parquet) == [complete]
    parquet.write_bytes(parquet.read_bytes()[:100])
    with pytest.raises(ChakuError, match=r"rows.parquet cannot be read to its end .*; get the file again"):
        BY_NAME["bigcodebench-complete"].load(parquet)


def test_programs_are_judged_by_the_test_case(path, tmp_path):
    benchmark = BY_NAME["bigcodebench-complete"]
    task = benchmark.load(path)[0]
    leaves = "    import os\n    os._exit(0)\n"
    completions = [*task.references, "    return 6\n", "    return [\n", leaves]
    right, wrong, broken, left = judge(benchmark, [(task, completion) for completion in completions], tmp_path)
    assert right.passed, right.reason
    assert not wrong.passed
    assert "test_" in wrong.reason
    assert not broken.passed
    assert "SyntaxError" in broken.reason
    assert not left.passed


def test_a_test_case_without_tests_is_no_pass(path, tmp_path):
    benchmark = BY_NAME["bigcodebench-complete"]
    path.write_text(json.dumps({**ROW, "test": "import unittest\nclass TestCases(unittest.TestCase):\n    pass\n"}))
    [task] = benchmark.load(path)
    [judgement] = judge(benchmark, [(task, task.references[0])], tmp_path)
    assert not judgement.passed
    assert "no test was run" in judgement.reason


def test_a_chat_model_is_shown_a_fence_or_the_instruction_and_needs_no_imports(path, tmp_path):
    complete = in_chat(BY_NAME["bigcodebench-complete"], BY_NAME)
    instruct = in_chat(BY_NAME["bigcodebench-instruct"], BY_NAME)
    sentence = (
        "Please provide a self-contained Python script that solves the following problem in a markdown code block:"
    )
    assert complete.load(path)[0].prompt == f"{sentence}\n```\n{ROW['complete_prompt'].strip()}\n```\n"
    task = instruct.load(path)[0]
    assert task.prompt == f"{sentence}\n{ROW['instruct_prompt']}\n"
    assert instruct.opening.endswith("passes corresponding tests:\n```python\n")
    body = "    return sum(json.load(urllib.request.urlopen(url)))\n"
    reply = f"{instruct.opening}def task_func(url):\n{body}\nprint(task_func('http://localhost'))\n```"
    program = instruct.cut_text(task, reply)
    assert program == f"def task_func(url):\n{body}"
    judgements = judge(instruct, [(task, reference) for reference in (program, *task.references)], tmp_path)
    assert all(judgement.passed for judgement in judgements)


def test_problems_with_missing_imports_are_left_out_by_name(path, capsys):
    benchmark = BY_NAME["bigcodebench-complete"]
    tasks = benchmark.load(path)
    kept, record = select_tasks(benchmark, tasks)
    assert [task.task_id for task in kept] == ["BigCodeBench/900"]
    assert record == {"left_out": {"BigCodeBench/901": "needs no_such_library"}}
    assert "1 of 2 problems cannot be judged here and are LEFT OUT: BigCodeBench/901 needs" in capsys.readouterr().err
    with pytest.raises(
        ChakuError, match="no problem can be judged here: BigCodeBench/901 needs no_such_library; install"
    ):
        select_tasks(benchmark, tasks[1:])
    with pytest.raises(ChakuError, match="have no dates; leave out --since"):
        select_tasks(benchmark, tasks, since="2024-01-01")


@sandboxed
def test_scoring_says_how_many_problems_are_left_out(path, tmp_path, capsys):
    samples = tmp_path / "samples.jsonl"
    rows = [{"task_id": row["task_id"], "completion": ROW["canonical_solution"]} for row in (ROW, LACKING)]
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["eval", "score", "--benchmark", "bigcodebench-complete", "--problems", str(path)]
    assert main([*command, "--samples", str(samples)]) == 0
    out = capsys.readouterr().out
    assert "1 of 1 problems have a right sample" in out
    assert "LEFT OUT: 1 problems that cannot be judged on this machine" in out


def test_imports_are_found_wherever_they_stand():
    assert missing_modules(
        ["import os, nothing_a.b as c\ndef f():\n    from nothing_b.x import y\n    from . import z\n"]
    ) == [
        "nothing_a",
        "nothing_b",
    ]
