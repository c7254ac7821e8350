"""Selects a benchmark's problems: by date, by --exclude, and by what this machine can judge."""

import re
from collections.abc import Sequence
from typing import Any

from chaku.console import say
from chaku.errors import ChakuError
from chaku.evals.benchmark import Benchmark, Task

NUM_NAMED = 10  # problems named on the terminal; the manifest names all


def select_tasks(
    benchmark: Benchmark,
    tasks: Sequence[Task],
    since: str | None = None,
    until: str | None = None,
    exclude: Sequence[str] = (),
) -> tuple[list[Task], dict[str, Any]]:
    """The problems published from `since` to `until` (YYYY-MM-DD, both included) that this machine can judge, without
    the problems in `exclude`; and a record of the selection for the manifest.

    Reports the problems that this machine cannot judge. Raises ChakuError for a malformed date, for dates with a
    benchmark that has none, for an unknown id in `exclude`, and when no problem is left.
    """
    for flag, day in (("--since", since), ("--until", until)):
        if day is not None and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", day):
            raise ChakuError(f"{flag} {day!r} is not a day; write it like 2024-08-31")
    record: dict[str, Any] = {}
    if unknown := sorted(set(exclude) - {task.task_id for task in tasks}):
        raise ChakuError(
            f"--exclude {unknown[0]}: {benchmark.name} has no such problem; its ids are like {tasks[0].task_id}"
        )
    if exclude:
        tasks = [task for task in tasks if task.task_id not in exclude]
        record["excluded"] = sorted(set(exclude))
        if not tasks:
            raise ChakuError(f"{benchmark.name}: --exclude names every problem, so nothing is left to score")
    if since is not None or until is not None:
        if not any(task.date for task in tasks):
            raise ChakuError(f"the problems of {benchmark.name} have no dates; leave out --since and --until")
        of_time = [task for task in tasks if (since or "") <= task.date <= (until or "9999")]
        if not of_time:
            days = sorted(task.date for task in tasks)
            raise ChakuError(
                f"{benchmark.name} has no problem from {since or 'the beginning'} to {until or 'the end'}; its "
                f"problems are from {days[0]} to {days[-1]}"
            )
        tasks = of_time
        record |= {"since": since, "until": until}
    left_out = {task.task_id: task.lacks for task in tasks if task.lacks}
    if left_out:
        named = "; ".join(f"{name} {why}" for name, why in list(left_out.items())[:NUM_NAMED])
        more = f" and {len(left_out) - NUM_NAMED} more" if len(left_out) > NUM_NAMED else ""
        number = f"{len(left_out)} of {len(tasks)} problems"
        if len(left_out) == len(tasks):
            raise ChakuError(f"{benchmark.name}: no problem can be judged here: {named}{more}; install the named tools")
        say(f"{benchmark.name}: {number} cannot be judged here and are LEFT OUT: {named}{more}")
        record["left_out"] = left_out
    return [task for task in tasks if not task.lacks], record
