"""HumanEval: 164 Python functions to complete from their docstrings (Chen et al. 2021, arXiv 2107.03374).

As in the paper: zero-shot, the prompt unstripped, greedy for pass@1, 3 s a program.
"""

import re
from functools import partial
from pathlib import Path
from typing import Any

from chaku.evals.benchmark import Benchmark, Task, unique_tasks
from chaku.evals.benchmarks.evalplus_chat import function_chat
from chaku.evals.benchmarks.problem_files import find_file, read_rows
from chaku.sandbox.verdict import Job

FILE = "humaneval/HumanEval.jsonl.gz"
URL = "https://github.com/openai/human-eval/raw/master/data/HumanEval.jsonl.gz"
FIELDS = ("task_id", "prompt", "canonical_solution", "test", "entry_point")
PROMPT_FORM = "zero-shot, unstripped"
# Stop strings: human-eval's own (Chen et al. 2021, section 2.3: class, def, #, if, print), a decorator, and the fence
# of a Markdown block.
STOPS = ("\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\n```")


def load(file: str, url: str, path: Path | None = None) -> list[Task]:
    """Problems in HumanEval's form, in the file's order."""
    path = find_file(path, file, url)
    return unique_tasks([make_task(row) for row in read_rows(path, FIELDS)], str(path))


def make_task(row: dict[str, Any]) -> Task:
    return Task(str(row["task_id"]), row["prompt"], references=(row["canonical_solution"],), data=row)


def jobs(task: Task, completion: str) -> list[Job]:
    """The completed function with the file's test, joined as in human-eval."""
    return program_jobs(task, task.prompt + completion)


def program_jobs(task: Task, program: str) -> list[Job]:
    name = task.data["entry_point"]
    test = f"{task.data['test']}\ncheck({name})"
    return [Job(program, tests=(test,), prelude=before_function(task.data["prompt"], name), entry_point=name)]


def before_function(prompt: str, name: str) -> str:
    """The imports and helpers before the function in a prompt, which the tests may use."""
    found = list(re.finditer(rf"^(async )?def {re.escape(name)}\b", prompt, re.MULTILINE))
    return prompt[: found[-1].start()] if found else ""


HUMANEVAL = Benchmark("humaneval", partial(load, FILE, URL), PROMPT_FORM, jobs, STOPS, chat=function_chat(program_jobs))
