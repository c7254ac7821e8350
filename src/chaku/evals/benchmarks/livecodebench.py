"""LiveCodeBench, code generation: contest problems with their dates (Jain et al. 2024, arXiv 2403.07974).

A problem with starter code asks for a method of `class Solution`; other problems ask for a whole program that reads
standard input. With --since and --until, the dates separate newer problems from problems that a model may have been
trained on. Answers are judged like APPS's.
"""

import re
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.evals.benchmark import Benchmark, ChatForm, Task, unique_tasks
from chaku.evals.benchmarks import apps
from chaku.evals.benchmarks.livecodebench_tests import read_tests
from chaku.evals.benchmarks.problem_files import find_folder, read_rows
from chaku.evals.extract import last_block
from chaku.sandbox.verdict import Job

FOLDER = "livecodebench"
URL = "https://huggingface.co/datasets/livecodebench/code_generation_lite (test.jsonl, test2.jsonl, ...)"
FIELDS = (
    *("question_id", "question_content", "contest_date", "starter_code", "difficulty"),
    *("public_test_cases", "private_test_cases", "metadata"),
)
MAX_TOKENS = 2000
# lcb_runner/prompts/code_generation.py: the generic question, and the system message.
SYSTEM = (
    "You are an expert Python programmer. You will be given a question (problem specification) and will generate a "
    "correct Python program that matches the specification and passes all tests."
)
WITH_STARTER = (
    "You will use the following starter code to write the solution to the problem and enclose your code within "
    "delimiters."
)
WITHOUT_STARTER = (
    "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on the sample "
    "inputs). Enclose your code within delimiters as follows. Ensure that when the python program runs, it reads the "
    "inputs, runs the algorithm and writes output to STDOUT."
)
# The imports of LiveCodeBench's own runner (`import_string`).
HEADER = (
    "".join(
        f"from {name} import *\n"
        for name in (
            *("string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics"),
            *("itertools", "functools", "operator", "io", "sys", "json", "builtins", "typing"),
        )
    )
    + "import string, re, datetime, collections, heapq, bisect, copy, math, random, statistics, itertools, functools\n"
    + "import operator, io, sys, json\n"
    + "sys.setrecursionlimit(50000)\n"
)


def load_livecodebench(path: Path | None = None) -> list[Task]:
    """The problems in a file, or in all test*.jsonl of a folder (default: livecodebench), the oldest first.

    Raises ChakuError for a damaged problem, and for private tests whose pickle holds anything but one text.
    """
    path = path or find_folder(FOLDER, URL)
    files = sorted(path.glob("test*.jsonl*")) if path.is_dir() else [path]
    if not files:
        raise ChakuError(f"{path} has no test*.jsonl; save {URL} there")
    tasks = [_task(f"{file}, problem {row['question_id']}", row) for file in files for row in read_rows(file, FIELDS)]
    return unique_tasks(sorted(tasks, key=lambda task: (task.date, task.task_id)), str(path))


def _task(where: str, row: dict[str, Any]) -> Task:
    date = str(row["contest_date"])[:10]
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", date):
        raise ChakuError(
            f"{where}: contest_date is {row['contest_date']!r}, not like 2024-08-31T00:00:00; get the file again"
        )
    return Task(
        task_id=str(row["question_id"]),
        prompt=question(row["question_content"], row["starter_code"]),
        group=str(row["difficulty"]),
        data=read_tests(where, row["public_test_cases"], row["private_test_cases"], row["metadata"]),
        date=date,
    )


def question(content: str, starter: str) -> str:
    """LiveCodeBench's generic question."""
    said = WITH_STARTER if starter else WITHOUT_STARTER
    code = starter or "# YOUR CODE HERE"
    form = f"### Format: {said}\n```python\n{code}\n```\n\n"
    return f"### Question:\n{content}\n\n{form}### Answer: (use the provided format with backticks)\n\n"


def jobs(task: Task, program: str) -> list[Job]:
    """One job for every public and private test."""
    return apps.jobs(task, program, header=HEADER)


def extract(task: Task, reply: str) -> str:
    """The last block, as in LiveCodeBench; but a block that has the method and that Python can parse is preferred."""
    return last_block(reply, task.data.get("fn_name") or "")


LIVECODEBENCH = Benchmark(
    name="livecodebench",
    load=load_livecodebench,
    prompt_form="LiveCodeBench's generic question as text; the last block of the answer",
    jobs=jobs,
    max_tokens=MAX_TOKENS,
    timeout=6.0,  # for each test; LiveCodeBench's runner allows 6 s of wall time
    memory_mb=2048,
    judge=apps.judge,
    cut=extract,
    wrong=lambda task: "raise ValueError('wrong')\n",
    is_program=True,
    chat=ChatForm(
        prompt_form="chat: LiveCodeBench's generic question after its system's words, in one message",
        message=lambda task: f"{SYSTEM}\n\n{task.prompt}",
        extract=extract,
        jobs=jobs,
        program=lambda task, completion: completion,
        max_tokens=MAX_TOKENS,
    ),
)
