"""File locks that the operating system releases when the process ends, even when the process is killed."""

from typing import IO, Any

try:
    import fcntl
except ModuleNotFoundError:  # Windows has no fcntl; there, chaku's long work runs in WSL
    fcntl = None  # type: ignore[assignment]


def try_lock(file: IO[Any] | int) -> bool:
    """Lock an open file or directory until it is closed. False when another process holds the lock.

    Windows has no such locks: there every call returns True.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
