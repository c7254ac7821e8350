"""APPS: 10,000 problems from programming sites, in three difficulties (Hendrycks et al. 2021, arXiv 2105.09938).

A problem with `fn_name` calls a function, or a method of a `class Solution`; the others run a whole program that reads
standard input. Prompts are the paper's. `apps` asks zero-shot; `apps-2-shot` puts two solved problems first, as Code
Llama does (section 3.1). Which two, that paper does not say: they are read from a file, and are in the data's hash.
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
# What APPS's own runner imports for every program (numpy aside): older samples count on it.
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
    """The problems of a folder in APPS's layout (default: apps/test), or of a file of the Hub's rows."""
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
        raise ChakuError(f"{path} has {len(solved)} solved problems; {number} are shown before each question")
    return solved[:number]


def _ask(row: dict[str, Any]) -> str:
    """The paper's prompt (appendix C; `generate_gpt_codes.py` decides on line breaks)."""
    starter = "\n" + row["starter_code"] if row["starter_code"] else ""
    form = "Call-Based" if row["tests"].get("fn_name") else "Standard Input"
    return f"\nQUESTION:\n{row['question']}{starter}\nUse {form} format\nANSWER:\n"


def jobs(task: Task, completion: str, header: str = HEADER) -> list[Job]:
    """One program a test case. `header`: imports that stand before every program."""
    tests = task.data
    future = re.search(r"^from __future__ import", completion, re.MULTILINE)  # stands first, or is an error
    source = completion if future else header + completion
    if not tests.get("fn_name"):
        return [
            Job(source, stdin=_text(given), keep_output=2 * len(_text(expected)) + KEPT_OUTPUT)
            for given, expected in zip(tests["inputs"], tests["outputs"], strict=True)
        ]
    in_class = re.search(r"^class Solution\b", completion, re.MULTILINE)
    call = f"Solution().{tests['fn_name']}" if in_class else tests["fn_name"]
    # Where every expected value is a list of one, it may be the value wrapped, as for problems from Codewars.
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
    return [_keys(each) for each in _json.loads(text)]

def _keys(value):
    if isinstance(value, dict) and value and all(key.lstrip("-").isdecimal() for key in value):
        return {int(key): each for key, each in value.items()}  # JSON has no other keys than text
    return value
"""


@cache
def _prelude() -> str:
    # In a namespace of its own: a candidate's function may be called as one of these is.
    text = Path(answers.__file__).read_text(encoding="utf-8") + ARGUMENTS + CHECK
    return f"_own = {{}}\nexec({text!r}, _own)\n_check, _arguments = _own['_check'], _own['_arguments']\n"


def judge(task: Task, completion: str, verdicts: Sequence[Verdict]) -> Judgement:
    """Calls are judged in the sandbox. A program has to end with exit status 0 and to have printed what is expected.

    The verdicts may be those of the first cases alone.
    """
    if task.data.get("fn_name"):
        return all_pass(task, completion, verdicts)
    seconds = sum(answer.cpu_seconds for answer in verdicts)
    for case, (verdict, expected) in enumerate(zip(verdicts, task.data["outputs"], strict=False), 1):
        left = verdict.status == "failed" and verdict.exit_status == 0  # `sys.exit()` is an end like any other
        if not verdict.passed and not left:
            return Judgement(verdict.status, False, f"case {case}: {verdict.reason}", seconds)
        if verdict.stdout_cut or not answers.same_output(verdict.stdout, _text(expected)):
            reason = f"case {case}: printed {verdict.stdout[:200]!r}, not {_text(expected)[:200]!r}"
            return Judgement("failed", False, reason, seconds)
    return Judgement("passed", True, "", seconds)


def _text(lines: Any) -> str:
    """Input or output: a text, or its lines."""
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
        timeout=4.0,  # of each case, as APPS's own runner has it (by the clock)
        judge=judge,
        is_program=True,
    )


APPS = (_benchmark(0), _benchmark(2))
