"""HumanEval+ and MBPP+: the same problems with many more inputs (Liu et al. 2023, arXiv 2305.01210).

Reads EvalPlus's two formats: its own, with `base_input` and `plus_input` (its `test` for HumanEval+ has only the base
inputs, and is not used); and the Hub's, with the inputs in the text of `test`. An answer is compared with the reference
solution's answer, by EvalPlus's rule, and by a stricter rule for the measure `strict` (`evalplus_check`).
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.evals.benchmark import Benchmark, Judgement, Task, all_pass, unique_tasks
from chaku.evals.benchmarks import humaneval
from chaku.evals.benchmarks.evalplus_chat import function_chat, script_chat
from chaku.evals.benchmarks.evalplus_inputs import restore_types
from chaku.evals.benchmarks.problem_files import find_file, read_rows
from chaku.evals.extract import python_program
from chaku.sandbox.verdict import Job, Verdict

HUMANEVAL_FILE = "humaneval/HumanEvalPlus.jsonl.gz"
HUMANEVAL_URL = "https://github.com/evalplus/humanevalplus_release/releases/download/v0.1.10/HumanEvalPlus.jsonl.gz"
MBPP_FILE = "mbpp/MbppPlus.jsonl.gz"
MBPP_URL = "https://github.com/evalplus/mbppplus_release/releases/download/v0.2.0/MbppPlus.jsonl.gz"
TIMEOUT = 60.0  # CPU seconds for all inputs: MBPP 599's own solution takes 15 to 30
STRICT_TEST = "assert not _loose, _loose\n"
MBPP_STOPS = ('\n"""', "\nassert", "\nif __name__", "\ndef main(", "\nprint(", "\n```")


def load_humaneval_plus(path: Path | None = None) -> list[Task]:
    path = find_file(path, HUMANEVAL_FILE, HUMANEVAL_URL)
    rows = read_rows(path, ("task_id", "prompt", "canonical_solution", "entry_point"))
    return unique_tasks([_task(path, row, row["prompt"], row["prompt"]) for row in rows], str(path))


def load_mbpp_plus(path: Path | None = None) -> list[Task]:
    """The problems of MBPP+. The prompt is EvalPlus's: a docstring with the task and its first assert."""
    path = find_file(path, MBPP_FILE, MBPP_URL)
    tasks = []
    for row in read_rows(path, ("task_id", "prompt")):
        row = dict(row)
        text = row["prompt"].strip()
        if "code" in row:  # the Hub's names
            row["canonical_solution"] = row["code"]
            text = f'"""\n{text}\n{row["test_list"][0]}\n"""'
            row["task_id"] = f"Mbpp/{row['task_id']}"
        tasks.append(_task(path, row, f"{text}\n", ""))
    return unique_tasks(tasks, str(path))


def _task(path: Path, row: dict[str, Any], prompt: str, before_solution: str) -> Task:
    task_id = str(row["task_id"])
    if "plus_input" in row:
        inputs = [repr(restore_types(task_id, row[key])) for key in ("base_input", "plus_input")]
        name, atol = row["entry_point"], row["atol"]
    else:
        found = re.search(r"^ *inputs = (.*)$", row.get("test", ""), re.MULTILINE)
        call = re.search(r"(\w+)\(\*inp\)", row.get("test", ""))
        if found is None or call is None:
            raise ChakuError(f"{path}: {task_id} has neither `plus_input` nor a `test` with inputs; get the file again")
        inputs = [found[1]]
        name = row.get("entry_point", call[1])
        tolerance = re.search(r"assertion\(.*, ([\d.e-]+)\)$", row["test"], re.MULTILINE)
        atol = float(tolerance[1]) if tolerance else 0.0
    solution = row["canonical_solution"]
    data = {"entry_point": name, "inputs": inputs, "atol": atol, "reference": before_solution + solution}
    return Task(task_id, prompt, references=(solution,), data=data)


def jobs(task: Task, completion: str) -> list[Job]:
    """Two jobs of the completed program: one tests the base inputs, one tests the inputs that EvalPlus added."""
    return program_jobs(task, task.prompt + completion)


def program_jobs(task: Task, program: str) -> list[Job]:
    """The jobs of a program. Each has two tests: one of EvalPlus's rule, and one of the strict rule."""
    name = task.data["entry_point"]
    # In namespaces of their own: a candidate's function may be called as one of the checker's is.
    before = (
        f"_checker, _solution = {{'__name__': 'checker'}}, {{}}\nexec({_checker()!r}, _checker)\n"
        f"exec({task.data['reference']!r}, _solution)\ninf, nan = float('inf'), float('nan')\n"
    )
    tests = [
        f"{before}_loose = _checker['check_answers']({name}, _solution[{name!r}], {inputs}, {task.data['atol']!r}, "
        f"{name!r})\n"
        for inputs in task.data["inputs"]
    ]
    return [Job(program, tests=(test, STRICT_TEST), entry_point=name) for test in tests]


def judge(task: Task, completion: str, verdicts: Sequence[Verdict]) -> Judgement:
    """Passed when all inputs pass. Measures, 0 or 100: `base` (base inputs), `strict` (all inputs, strict rule)."""
    official = [
        replace(verdict, status="passed", reason="") if _only_loose(verdict) else verdict for verdict in verdicts
    ]
    judged = all_pass(task, completion, official)
    measures = {"base": 100.0 * official[0].passed} if len(task.data["inputs"]) > 1 else {}
    measures["strict"] = 100.0 * (judged.passed and all(verdict.passed for verdict in verdicts))
    return Judgement(judged.verdict, judged.passed, judged.reason, judged.cpu_seconds, measures)


def _only_loose(verdict: Verdict) -> bool:
    """Whether the first test passed and the second, `STRICT_TEST`, failed."""
    return verdict.status == "failed" and len(verdict.tests) == 2 and not verdict.tests[0]


@cache
def _checker() -> str:
    return Path(__file__).with_name("evalplus_check.py").read_text(encoding="utf-8")


HUMANEVAL_PLUS = Benchmark(
    "humaneval-plus",
    load_humaneval_plus,
    humaneval.PROMPT_FORM,
    jobs,
    humaneval.STOPS,
    judge=judge,
    timeout=TIMEOUT,
    chat=function_chat(program_jobs),
)
MBPP_PLUS = Benchmark(
    "mbpp-plus",
    load_mbpp_plus,
    "zero-shot, a docstring with one assert",
    jobs,
    MBPP_STOPS,
    judge=judge,
    timeout=TIMEOUT,
    chat=script_chat(
        program_jobs,
        problem=lambda task: task.prompt,
        extract=lambda task, reply: python_program(reply, task.data["entry_point"]),
    ),
)
