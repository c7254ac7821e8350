"""Measures, for the worker, the memory of a job's processes and their wait for a core."""

import os
from pathlib import Path


def members() -> list[Path]:
    """The folders in /proc of the job's processes: all except process 1, which is bubblewrap's, and the worker."""
    return [path for path in Path("/proc").glob("[0-9]*") if path.name not in ("1", str(os.getpid()))]


def holds_more(limit: int, user: int | None) -> bool:
    """Whether the job's processes together hold more than `limit` bytes of memory.

    `user`: the user of these processes, if it is not this process's user. A quick sum counts pages that several
    processes share (after a fork) several times; only a sum above the limit is measured exactly.
    """
    job = members()
    return sum(map(_resident, job)) > limit and _exact(job, user) > limit


def _exact(job: list[Path], user: int | None) -> int:
    """Bytes that the job's processes hold, counting a shared page once. Only their user may read that: forks as it."""
    read_from, write_to = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if user is not None:
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
            os.write(write_to, str(sum(map(_proportional, job))).encode())
        finally:
            os._exit(0)
    os.close(write_to)
    with os.fdopen(read_from) as file:
        total = file.read()
    os.waitpid(child, 0)
    return int(total or 0)


def starved() -> float:
    """Seconds for which a process's threads were ready to run without a core; the most of the job's processes."""
    waits = [0.0]
    for path in members():
        fields = [_read(task / "schedstat").split() for task in (path / "task").glob("*")]
        waits.append(sum(int(field[1]) for field in fields if len(field) > 1) / 1e9)
    return max(waits)


def _resident(path: Path) -> int:
    return _sum(_read(path / "status"), ("RssAnon:", "RssShmem:"))


def _proportional(path: Path) -> int:
    """A process's share of its pages. A process may hide it, even from its own user: then counts all its pages."""
    return _sum(_read(path / "smaps_rollup"), ("Pss_Anon:", "Pss_Shmem:")) or _resident(path)


def _sum(text: str, names: tuple[str, ...]) -> int:
    lines = (line.split() for line in text.splitlines())
    return sum(int(words[1]) * 1024 for words in lines if words and words[0] in names)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended, or we may not read the file
        return ""
