"""Samples of a benchmark's problems: which problem each is of, and which problems are scored."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaku.errors import ChakuError
from chaku.evals.benchmark import Task
from chaku.evals.sample_files import Kind, RawSample

_NUMBERED = re.compile(r"(?:(?P<prefix>[A-Za-z+]+)[/_])?(?P<number>\d+)")
_NAMED = re.compile(rf"{_NUMBERED.pattern}_\w+")  # MultiPL-E's HumanEval_0_has_close_elements


@dataclass(frozen=True)
class Sample:
    """One text for a problem. `index` counts a problem's samples from 0, in the order of the file."""

    task_id: str
    index: int
    completion: str
    kind: Kind = "completion"


def identify_samples(raw: Sequence[RawSample], tasks: Sequence[Task], benchmark: str) -> list[Sample]:
    """The samples under the problems' own ids, numbered.

    A problem may be named by its number alone, by the benchmark's name and its number (`mbpp/11`), with `_` for `/`, or
    by its place in the test split. What names no problem keeps its id. Raises ChakuError for a place that there is not,
    for a text in the place of another problem, and for two samples of a problem with the same index.
    """
    split = [task for task in tasks if task.in_split]
    ids = {task.task_id for task in tasks}
    by_number = _by_number(tasks)
    samples: list[Sample] = []
    counts: Counter[str] = Counter()
    seen: set[tuple[str, int]] = set()
    for sample in raw:
        if sample.task_id is None:
            assert sample.place is not None
            if not 0 <= sample.place < len(split):
                raise ChakuError(
                    f"{sample.where} is of problem number {sample.place + 1} in the benchmark's order, but {benchmark} "
                    f"has {len(split)} problems; is it the right --benchmark?"
                )
            task_id = split[sample.place].task_id
            if (other := _of_another(sample.text, split[sample.place], split)) is not None:
                raise ChakuError(
                    f"{sample.where} is in the place of {task_id} but begins with the prompt of {other}: the file has "
                    "another order than the benchmark; give each text with its task_id"
                )
        else:
            task_id = sample.task_id if sample.task_id in ids else _find(sample.task_id, by_number, benchmark)
        index = counts[task_id] if sample.index is None else sample.index
        counts[task_id] += 1
        if (task_id, index) in seen:
            raise ChakuError(f"{sample.where}: {task_id} has a second sample with the index {index}")
        seen.add((task_id, index))
        samples.append(Sample(task_id, index, sample.text, sample.kind))
    return samples


def _of_another(text: str, task: Task, tasks: Sequence[Task]) -> str | None:
    """The problem whose prompt a text begins with, where it is not the one that it should be of."""
    text = text.lstrip("\r\n")
    if not task.prompt.strip() or text.startswith(task.prompt.strip()):
        return None
    return next(
        (
            candidate.task_id
            for candidate in tasks
            if candidate.prompt.strip() and text.startswith(candidate.prompt.strip())
        ),
        None,
    )


def _by_number(tasks: Sequence[Task]) -> dict[int, tuple[str, str]]:
    """number -> (what stands before it, id), of the ids that have a number of their own."""
    found: dict[int, list[tuple[str, str]]] = {}
    for task in tasks:
        match = _NUMBERED.fullmatch(task.task_id) or _NAMED.fullmatch(task.task_id)
        if match is not None:
            found.setdefault(int(match["number"]), []).append(((match["prefix"] or "").lower(), task.task_id))
    return {number: several[0] for number, several in found.items() if len(several) == 1}


def _find(task_id: str, by_number: dict[int, tuple[str, str]], benchmark: str) -> str:
    match = _NUMBERED.fullmatch(task_id)
    if match is None or int(match["number"]) not in by_number:
        return task_id
    prefix, known = by_number[int(match["number"])]
    names = {"", prefix, benchmark.partition("-")[0]}
    return known if (match["prefix"] or "").lower() in names else task_id


def choose_tasks(tasks: Sequence[Task], samples: Iterable[Sample], *, partial: bool = False) -> list[Task]:
    """The tasks that the samples are scored on: all of the benchmark's split, and others that have samples.

    Raises ChakuError for a sample of no known task, and for tasks without a sample unless `partial`, which leaves
    them out.
    """
    known = {task.task_id for task in tasks}
    sampled = {sample.task_id for sample in samples}
    if unknown := sorted(sampled - known):
        dropped = "" if partial or len(unknown) == len(sampled) else "; --partial scores the others only"
        raise ChakuError(
            f"{few(unknown)} {'is' if len(unknown) == 1 else 'are'} no problem of this benchmark, whose ids are like "
            f"{tasks[0].task_id}; is it the right --benchmark, and --problems?{dropped}"
        )
    if missing := [task.task_id for task in tasks if task.in_split and task.task_id not in sampled]:
        if not partial:
            raise ChakuError(
                f"{len(missing)} of the {sum(task.in_split for task in tasks)} problems have no sample: "
                f"{few(missing)}; sample them, or give --partial to score the others only"
            )
        return [task for task in tasks if task.task_id in sampled]
    return [task for task in tasks if task.in_split or task.task_id in sampled]


def few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
