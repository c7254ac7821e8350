"""Matches samples with a benchmark's problems, and chooses the problems that are scored."""

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
    """One text for a problem. `index`: counts a problem's samples from 0, in the order of the file."""

    task_id: str
    index: int
    completion: str
    kind: Kind = "completion"


def identify_samples(raw: Sequence[RawSample], tasks: Sequence[Task], benchmark: str) -> list[Sample]:
    """The samples with the problems' own ids, numbered.

    A file may name a problem by its number alone, by the benchmark's name and its number (`mbpp/11`), with `_` for `/`,
    or by its place in the test split. An id that names no problem stays as it is. Raises ChakuError for a place beyond
    the last problem, for a text in the place of another problem, and for two samples of a problem with one index.
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
                    f"has only {len(split)} problems; is it the right --benchmark?"
                )
            task_id = split[sample.place].task_id
            if (other := _of_another(sample.text, split[sample.place], split)) is not None:
                raise ChakuError(
                    f"{sample.where} is in the place of {task_id} but begins with the prompt of {other}: the file's "
                    "order differs from the benchmark's; give every text its task_id"
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
    """The id of another problem, with whose prompt the text begins; None when the text may be of `task`."""
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
    """number -> (the prefix before the number, task id), for ids whose number is unique."""
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
    """The tasks to score: the tasks of the benchmark's test split, and other tasks that have samples.

    `partial`: leave out tasks without samples. Raises ChakuError for a sample of an unknown task, and, unless
    `partial`, for tasks without samples.
    """
    known = {task.task_id for task in tasks}
    sampled = {sample.task_id for sample in samples}
    if unknown := sorted(sampled - known):
        dropped = "" if partial or len(unknown) == len(sampled) else "; --partial scores only the other samples"
        raise ChakuError(
            f"{few(unknown)} {'is' if len(unknown) == 1 else 'are'} not in this benchmark, whose ids are like "
            f"{tasks[0].task_id}; check --benchmark and --problems{dropped}"
        )
    if missing := [task.task_id for task in tasks if task.in_split and task.task_id not in sampled]:
        if not partial:
            raise ChakuError(
                f"{len(missing)} of the {sum(task.in_split for task in tasks)} problems have no sample: "
                f"{few(missing)}; sample them, or give --partial to score only the other problems"
            )
        return [task for task in tasks if task.task_id in sampled]
    return [task for task in tasks if task.in_split or task.task_id in sampled]


def few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
