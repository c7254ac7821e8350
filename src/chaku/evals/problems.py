"""The problems of benchmarks as texts and solutions, for the checks that training data repeats none of them."""

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chaku.errors import ChakuError, did_you_mean
from chaku.evals.benchmark import Benchmark, Task
from chaku.evals.suite import BENCHMARKS
from chaku.sandbox.verdict import Job


@dataclass(frozen=True)
class Problem:
    """A benchmark's problem. `job` tests its reference solution; None without a reference or a single Python test."""

    name: str
    text: str
    solutions: tuple[str, ...]
    job: Job | None

    @cached_property
    def argument_kinds(self) -> tuple[str, ...] | None:
        """The argument types of the first call with literal arguments in the problem's tests; None without a call."""
        if self.job is None:
            return None
        names = {self.job.entry_point, "candidate"}
        for node in ast.walk(ast.parse("\n".join(self.job.tests))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names and node.args:
                try:
                    return kinds(ast.literal_eval(argument) for argument in node.args)
                except (ValueError, TypeError):
                    continue
        return None


def kinds(arguments: Iterable[Any]) -> tuple[str, ...]:
    """The types of arguments as words: `([1, 2], "a")` gives `("list of int", "str")`."""
    return tuple(
        f"{type(argument).__name__} of {type(next(iter(argument))).__name__}"
        if isinstance(argument, list | tuple | set) and argument
        else type(argument).__name__
        for argument in arguments
    )


def load_problems(names: Sequence[str]) -> list[Problem]:
    """The problems of the named Python benchmarks. Raises ChakuError for an unknown name and a missing file."""
    problems: list[Problem] = []
    for name in names:
        if name not in BENCHMARKS:
            near = did_you_mean(name, BENCHMARKS)
            raise ChakuError(f"there is no benchmark {name!r} to check against{near} (`chaku eval list` lists all)")
        benchmark = BENCHMARKS[name]
        problems += [_problem(benchmark, task) for task in benchmark.load(None)]
    return problems


def _problem(benchmark: Benchmark, task: Task) -> Problem:
    jobs = benchmark.jobs(task, task.references[0]) if benchmark.jobs and task.references else []
    words = str(task.data.get("text") or task.data.get("prompt") or task.prompt)
    python = len(jobs) == 1 and jobs[0].tests and jobs[0].language == "python"
    return Problem(
        f"{benchmark.name} {task.task_id}",
        words,
        tuple(job.source for job in jobs if job.language == "python"),
        jobs[0] if python else None,
    )
