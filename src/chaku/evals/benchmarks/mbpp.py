"""MBPP: Python functions to write from a sentence and three asserts (Austin et al. 2021, arXiv 2108.07732).

Problems 1 to 10 are for prompts, and problems 11 to 510 are the test split, also in the sanitized subset. There are two
prompts: MBPP's README's, after the solved problems 2, 3 and 4; and figure 12 of the Code Llama paper (zero-shot).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from chaku.evals.benchmark import Benchmark, Task, unique_tasks
from chaku.evals.benchmarks.evalplus_chat import script_chat
from chaku.evals.benchmarks.problem_files import find_file, read_rows
from chaku.evals.extract import python_program
from chaku.sandbox.verdict import Job

FILE = "mbpp/mbpp.jsonl"
SANITIZED_FILE = "mbpp/sanitized-mbpp.json"
URL = "https://github.com/google-research/google-research/raw/master/mbpp/"
SHOTS = (2, 3, 4)
TEST_SPLIT = range(11, 511)
NUM_SHOWN = 3  # asserts shown in a prompt; a few problems have more
TIMEOUT = 15.0  # CPU seconds: problem 123's own solution takes 5 to 6.5

Row = dict[str, Any]
Form = Callable[[Row, Sequence[Row]], str]


def ask(row: Row) -> str:
    """The task and its asserts, in the words of MBPP's README."""
    text = row["text"] if "text" in row else row["prompt"]  # `prompt` in the sanitized file
    tests = "\n".join(row["test_list"][:NUM_SHOWN])
    task = f"You are an expert Python programmer, and here is your task: {text}"
    return f"{task} Your code should pass these tests:\n\n{tests}"


def three_shot(row: Row, shots: Sequence[Row]) -> str:
    """The solved problems, then the problem to solve; empty when the file lacks one of the solved problems."""
    if len(shots) < len(SHOTS):
        return ""
    solved = (f"{ask(shot)}\n[BEGIN]\n{_unix(shot['code'])}\n[DONE]\n\n" for shot in shots)
    return f"{''.join(solved)}{ask(row)}\n[BEGIN]\n"


def zero_shot(row: Row, shots: Sequence[Row]) -> str:
    """Code Llama's prompt, figure 12. The model itself writes the opening tag."""
    asked = ask(row).replace(" Your code should pass", "\nYour code should pass", 1)
    return f"[INST] {asked}\nYour code should start with a [PYTHON] tag and end with a [/PYTHON] tag. [/INST]"


def load(form: Form, file: str, path: Path | None = None) -> list[Task]:
    """All problems of a file. `in_split`: the test split; all problems if the file has none of the test split."""
    path = find_file(path, file, URL + Path(file).name)
    rows = read_rows(path, ("task_id", "code", "test_list"))
    shots = [row for number in SHOTS for row in rows if row["task_id"] == number]
    has_split = any(row["task_id"] in TEST_SPLIT for row in rows)
    tasks = [
        Task(
            str(row["task_id"]),
            form(row, shots),
            references=(row["code"],),
            data=row,
            in_split=row["task_id"] in TEST_SPLIT or not has_split,
        )
        for row in rows
    ]
    return unique_tasks(tasks, str(path))


def jobs(task: Task, completion: str) -> list[Job]:
    """The code, with tests: the problem's set-up, which may use the code's classes, and its asserts."""
    setup = task.data.get("test_setup_code", "")
    tests = ([setup] if setup.strip() else []) + list(task.data["test_list"])
    prelude = "\n".join(task.data.get("test_imports", ()))
    return [Job(completion, tests=tuple(map(_unix, tests)), prelude=prelude, entry_point=entry_point(task.data))]


def entry_point(row: Mapping[str, Any]) -> str:
    """The first function in the first assert that the solution defines. (Problem 126 defines a `sum`.)"""
    defined = re.findall(r"^def\s+(\w+)", row["code"], re.MULTILINE)
    called = re.findall(r"(\w+)\s*\(", row["test_list"][0]) if row["test_list"] else []
    return next((name for name in called if name in defined), "")


def between_tags(task: Task, text: str) -> str:
    """The code between [PYTHON] and [/PYTHON]. A missing tag stands for the beginning or the end of the text."""
    _, opening, code = text.partition("[PYTHON]")
    return (code if opening else text).partition("[/PYTHON]")[0]


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")


def docstring(task: Task) -> str:
    """EvalPlus's form of a problem: its sentence and its first assert, between triple quotes."""
    row = task.data
    text = row["text"] if "text" in row else row["prompt"]
    return f'"""\n{text.strip()}\n{_unix(row["test_list"][0]).strip()}\n"""'


def extract(task: Task, reply: str) -> str:
    """The program in a reply, with every name that the tests and their set-up use (problem 367: a class `Node`)."""
    named = re.findall(r"\w+", "\n".join([task.data.get("test_setup_code", ""), *task.data["test_list"]]))
    return python_program(reply, entry_point(task.data), also=named)


CHAT = script_chat(jobs, problem=docstring, extract=extract)
THREE_SHOT_FORM = "3-shot, problems 2, 3 and 4, [BEGIN] and [DONE]"

MBPP = Benchmark(
    "mbpp",
    partial(load, three_shot, FILE),
    THREE_SHOT_FORM,
    jobs,
    ("[DONE]",),
    timeout=TIMEOUT,
    is_program=True,
    chat=CHAT,
)
MBPP_ZERO_SHOT = Benchmark(
    "mbpp-zero-shot",
    partial(load, zero_shot, FILE),
    "zero-shot, [INST], [PYTHON] tags",
    jobs,
    ("[/PYTHON]",),
    timeout=TIMEOUT,
    cut=between_tags,
    is_program=True,
)
MBPP_SANITIZED = replace(MBPP, name="mbpp-sanitized", load=partial(load, three_shot, SANITIZED_FILE))
