"""Locks that the system lets go of when their holder ends, however it ends."""

from typing import IO, Any

try:
    import fcntl
except ModuleNotFoundError:  # Windows has no such locks; chaku's long work runs in WSL there
    fcntl = None  # type: ignore[assignment]


def try_lock(file: IO[Any] | int) -> bool:
    """Lock an open file or directory for this process alone, until it is closed; False where another one has it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
