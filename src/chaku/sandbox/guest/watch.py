"""What a job's processes hold and wait for together, seen from the worker: every other process here is of its job."""

import os
from pathlib import Path


def members() -> list[Path]:
    """The folders in /proc of the job's processes: all but process 1, which is bubblewrap's, and the worker."""
    return [path for path in Path("/proc").glob("[0-9]*") if path.name not in ("1", str(os.getpid()))]


def holds_more(limit: int, user: int | None) -> bool:
    """Whether the job's processes hold more than so many bytes of memory together.

    `user`: whose processes they are, if not this one's own. What each holds is quickly added up, pages that several
    share (after a fork) counted several times; only a sum above the limit is looked at closely.
    """
    job = members()
    return sum(map(_resident, job)) > limit and _exact(job, user) > limit


def _exact(job: list[Path], user: int | None) -> int:
    """Bytes that the job's processes hold, each shared page counted once. Only their user may look: a process as it."""
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
        told = file.read()
    os.waitpid(child, 0)
    return int(told or 0)


def starved() -> float:
    """Seconds for which threads of the job were ready to run and had no core, at most of any one process."""
    waits = [0.0]
    for path in members():
        fields = [_read(task / "schedstat").split() for task in (path / "task").glob("*")]
        waits.append(sum(int(field[1]) for field in fields if len(field) > 1) / 1e9)
    return max(waits)


def _resident(path: Path) -> int:
    return _sum(_read(path / "status"), ("RssAnon:", "RssShmem:"))


def _proportional(path: Path) -> int:
    """A process may keep others from looking so closely, its user too: then all that it holds counts."""
    return _sum(_read(path / "smaps_rollup"), ("Pss_Anon:", "Pss_Shmem:")) or _resident(path)


def _sum(text: str, names: tuple[str, ...]) -> int:
    lines = (line.split() for line in text.splitlines())
    return sum(int(words[1]) * 1024 for words in lines if words and words[0] in names)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has ended, or is not ours to see
        return ""
