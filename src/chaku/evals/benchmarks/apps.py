"""APPS: 10,000 problems from programming sites, in three difficulties (Hendrycks et al. 2021, arXiv 2105.09938).

A problem with `fn_name` calls a function, or a method of a `class Solution`; other problems run a whole program that
reads standard input. Prompts are the paper's. `apps` is zero-shot; `apps-2-shot` puts two solved problems first, as
Code Llama does (section 3.1). Its paper does not name the two problems: they are read from a file, and hashed as data.
"""

import json
import re
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.evals.benchmark import Benchmark, Judgement, Task, all_pass, unique_tasks
from chaku.evals.benchmarks import answers
from chaku.evals.benchmarks.apps_files import read_problems
from chaku.evals.benchmarks.problem_files import find_file
from chaku.sandbox.verdict import Job, Verdict

EXAMPLES = "apps/examples.jsonl"
# The imports of APPS's own runner, except numpy: older samples rely on them.
HEADER = """\
import sys, time, itertools, collections, math, fractions, random, heapq, functools, bisect, string, re
from itertools import accumulate, product, permutations, combinations
from collections import Counter, OrderedDict, deque, defaultdict, ChainMap
from functools import lru_cache
from math import sqrt, sin, cos, tan, ceil, fabs, floor, gcd, exp, log, log2
from typing import *
from heapq import *
"""
CHECK = """
def _check(case, ours, expected, wrapped):
    expected = _json.loads(expected)
    if same_value(ours, expected) or (wrapped and same_value(ours, expected[0])):
        return
    raise AssertionError(f"case {case}: {ours!r:.200} is not {expected!r:.200}")
"""
KEPT_OUTPUT = 64 * 1024


def load_apps(num_shots: int, path: Path | None = None) -> list[Task]:
    """The problems in a folder with APPS's layout (default: apps/test), or in a file of the Hub's rows.

    `num_shots`: solved problems before each question.
    """
    path, rows = read_problems(path)
    before = "".join(_ask(row) + row["solutions"][0].strip() + "\n" for row in _examples(num_shots))
    tasks = [
        Task(
            task_id=row["id"],
            prompt=before + _ask(row),
            references=tuple(row["solutions"]),
            group=row["difficulty"],
            data=row["tests"],
        )
        for row in rows
    ]
    return unique_tasks(tasks, str(path))


def _examples(number: int) -> list[dict[str, Any]]:
    """The first `number` problems of the file of examples. Raises ChakuError when too few have a solution."""
    if not number:
        return []
    what = f"{number} of APPS's training problems with a solution (the Hub's rows)"
    path, rows = read_problems(find_file(None, EXAMPLES, what))
    solved = [row for row in rows if row["solutions"]]
    if len(solved) < number:
        raise ChakuError(f"{path} has {len(solved)} solved problems, but the prompt shows {number}; add problems to it")
    return solved[:number]


def _ask(row: dict[str, Any]) -> str:
    """The paper's prompt (appendix C; line breaks as in `generate_gpt_codes.py`)."""
    starter = "\n" + row["starter_code"] if row["starter_code"] else ""
    form = "Call-Based" if row["tests"].get("fn_name") else "Standard Input"
    return f"\nQUESTION:\n{row['question']}{starter}\nUse {form} format\nANSWER:\n"


def jobs(task: Task, completion: str, header: str = HEADER) -> list[Job]:
    """One job for every test case. `header`: imports put before every program."""
    tests = task.data
    future = re.search(r"^from __future__ import", completion, re.MULTILINE)  # an error unless it comes first
    source = completion if future else header + completion
    if not tests.get("fn_name"):
        return [
            Job(source, stdin=_text(given), keep_output=2 * len(_text(expected)) + KEPT_OUTPUT)
            for given, expected in zip(tests["inputs"], tests["outputs"], strict=True)
        ]
    in_class = re.search(r"^class Solution\b", completion, re.MULTILINE)
    call = f"Solution().{tests['fn_name']}" if in_class else tests["fn_name"]
    # When every expected value is a list of one element, the list may wrap the value (problems from Codewars).
    wrapped = not tests.get("is_exact") and all(
        isinstance(output, list) and len(output) == 1 for output in tests["outputs"]
    )
    return [
        Job(
            source,
            tests=(f"_check({case}, {call}(*_arguments({json.dumps(given)!r})), {json.dumps(expected)!r}, {wrapped})",),
            prelude=_prelude(),
            entry_point="Solution" if in_class else tests["fn_name"],
        )
        for case, (given, expected) in enumerate(zip(tests["inputs"], tests["outputs"], strict=True), 1)
    ]


ARGUMENTS = """
import json as _json

def _arguments(text):
    return [_keys(argument) for argument in _json.loads(text)]

def _keys(value):
    if isinstance(value, dict) and value and all(key.lstrip("-").isdecimal() for key in value):
        return {int(key): item for key, item in value.items()}  # JSON has only strings as keys
    return value
"""


@cache
def _prelude() -> str:
    # In a namespace of its own: a candidate's function may be called as one of these is.
    text = Path(answers.__file__).read_text(encoding="utf-8") + ARGUMENTS + CHECK
    return f"_own = {{}}\nexec({text!r}, _own)\n_check, _arguments = _own['_check'], _own['_arguments']\n"


def judge(task: Task, completion: str, verdicts: Sequence[Verdict]) -> Judgement:
    """The judgement from the verdicts of the first or all cases.

    A problem with `fn_name` passes when all its tests passed. A whole program must exit with status 0 and print the
    expected output in every case.
    """
    if task.data.get("fn_name"):
        return all_pass(task, completion, verdicts)
    seconds = sum(answer.cpu_seconds for answer in verdicts)
    for case, (verdict, expected) in enumerate(zip(verdicts, task.data["outputs"], strict=False), 1):
        left = verdict.status == "failed" and verdict.exit_status == 0  # `sys.exit()` is a normal end here
        if not verdict.passed and not left:
            return Judgement(verdict.status, False, f"case {case}: {verdict.reason}", seconds)
        if verdict.stdout_cut or not answers.same_output(verdict.stdout, _text(expected)):
            reason = f"case {case}: printed {verdict.stdout[:200]!r}, not {_text(expected)[:200]!r}"
            return Judgement("failed", False, reason, seconds)
    return Judgement("passed", True, "", seconds)


def _text(lines: Any) -> str:
    """Input or output as one text; the files have a text or a list of lines."""
    return lines if isinstance(lines, str) else "\n".join(map(str, lines)) if isinstance(lines, list) else str(lines)


def _benchmark(num_shots: int) -> Benchmark:
    shown = f"{num_shots} solved problems of {EXAMPLES} first" if num_shots else "zero-shot"
    return Benchmark(
        name=f"apps-{num_shots}-shot" if num_shots else "apps",
        load=partial(load_apps, num_shots),
        prompt_form=f"APPS's (QUESTION, format, ANSWER), {shown}",
        jobs=jobs,
        stops=("\nQUESTION:", "\nANSWER:", "\n```"),
        max_tokens=1024,
        timeout=4.0,  # for each case; APPS's own runner allows 4 s of wall time
        judge=judge,
        is_program=True,
    )


APPS = (_benchmark(0), _benchmark(2))
