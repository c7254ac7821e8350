"""Rewards for programs: whether all tests pass in the sandbox, or a share for some of them.

A test whose text stands in the prompt is shown, and every other test is hidden. A task without a hidden test is
refused: a reply could repeat the answers that its prompt shows.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from chaku.errors import ChakuError
from chaku.evals.extract import python_program
from chaku.evals.fences import code_blocks
from chaku.instruct.suites import expected_value
from chaku.reinforcement.rewards import Judged, Waiting
from chaku.reinforcement.tasks import Task, texts
from chaku.sandbox.pool import Pool
from chaku.sandbox.verdict import Job, Verdict

MEMORY_MB = 512
Kind = Literal["tests", "share_of_tests", "shown_tests"]


class ProgramReward:
    """Runs a task's tests on the program in a reply. `kind`: "tests": 1 if all tests pass, else 0.

    "share_of_tests", for Python: nothing unless all shown tests pass; then the share of hidden tests that pass, counted
    from the share that the best constant would pass (0) to all of them (1). So neither the answers that the prompt
    shows nor `return True` are paid. "shown_tests": 1 if the shown tests pass, for experiments: it can be cheated. The
    fields of a row: `tests` and `hidden_tests` (lists of asserts), `entry_point`, `prelude`, `language`.
    """

    def __init__(self, kind: Kind = "tests", timeout: float = 3.0, num_workers: int | None = None):
        self._kind = kind
        self._pool = Pool(timeout=timeout, memory_mb=MEMORY_MB, num_workers=num_workers)
        self._pool.__enter__()

    def problem(self, task: Task) -> str:
        shown, hidden = split_tests(task)
        if not shown and not hidden:
            return 'the row has no tests (a list of asserts in the field "tests")'
        if not hidden and self._kind != "shown_tests":
            return "the row has no hidden test: its prompt shows every test"
        if _language(task) == "python" and not task.fields.get("entry_point"):
            return 'the row has no "entry_point"'
        if self._kind == "share_of_tests" and _language(task) != "python":
            return 'the kind "share_of_tests" is for Python; choose "tests"'
        return ""

    def submit(self, task: Task, text: str) -> Waiting:
        return self.submit_program(task, program(task, text))

    def submit_program(self, task: Task, source: str) -> Waiting:
        """Ask for the judgement of a whole program."""
        shown, hidden = split_tests(task)
        if not source.strip():
            return lambda: Judged(0.0, False, "no program", False if shown else None)
        tests = (*shown, *hidden)
        job = Job(
            source,
            language=_language(task),
            tests=tests,
            prelude=str(task.fields.get("prelude") or ""),
            entry_point=str(task.fields.get("entry_point") or ""),
            keep_output=1,
            stop_at_failure=self._kind != "share_of_tests",
        )
        future = self._pool.submit(job)
        paid_from = 0.0
        if self._kind == "share_of_tests":
            paid_from = _share_of_best_constant(hidden, str(task.fields["entry_point"]))
        return lambda: self._judged(future.result(), len(shown), len(hidden), paid_from)

    def close(self) -> None:
        self._pool.__exit__(None, None, None)

    def _judged(self, verdict: Verdict, num_shown: int, num_hidden: int, paid_from: float) -> Judged:
        if verdict.status == "sandbox_error":  # says nothing about the program
            raise ChakuError(f"the sandbox failed: {verdict.reason}; run the same command to go on")
        solved = verdict.passed
        passed = [not reason for reason in verdict.tests]
        shown = (solved or (len(passed) >= num_shown and all(passed[:num_shown]))) if num_shown else None
        if self._kind == "shown_tests":
            value = float(bool(shown))
        elif self._kind == "share_of_tests" and not solved:
            # A run that was ended from outside (time, memory) has no reasons for the tests that did not run.
            earned = shown is not False and verdict.status == "failed" and paid_from < 1
            share = sum(passed[num_shown:]) / num_hidden
            value = max(0.0, (share - paid_from) / (1 - paid_from)) if earned else 0.0
        else:
            value = float(solved)
        return Judged(value, solved, "" if solved else verdict.reason or verdict.status, shown)


def split_tests(task: Task) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The shown and the hidden tests of a task.

    Where the row names no `hidden_tests`, the tests that the prompt does not show are hidden. If it shows none, every
    second test counts as shown, so that the two groups can be compared.
    """
    tests, hidden = texts(task.fields.get("tests")), texts(task.fields.get("hidden_tests"))
    if hidden:
        return tests, tuple(test for test in hidden if test not in tests)
    prompt = _squeezed(task.text)
    seen = tuple(test for test in tests if _squeezed(test).removeprefix("assert") in prompt)
    if not seen and len(tests) > 1:
        seen = tests[::2]
    return seen, tuple(test for test in tests if test not in seen)


def _share_of_best_constant(tests: Sequence[str], entry_point: str) -> float:
    """The share of asserts that expect the commonest value."""
    values = Counter(expected_value(test, entry_point) for test in tests)
    return max(values.values()) / len(tests)


def program(task: Task, reply: str) -> str:
    """The program in a reply: in Python by `evals/extract.py`, elsewhere the first block, or the whole reply."""
    if _language(task) == "python":
        if "```" not in reply and "~~~" not in reply:
            return reply.strip(" ")
        return python_program(reply, str(task.fields.get("entry_point") or ""))
    blocks = code_blocks(reply)
    return blocks[0].code if blocks else reply


def _language(task: Task) -> str:
    return str(task.fields.get("language") or "python")


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)
