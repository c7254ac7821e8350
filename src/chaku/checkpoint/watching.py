"""The progress of a download that another program makes: by the sizes of the files that it writes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaku.console import Bar

SECONDS = 0.25  # between two looks


@contextmanager
def watch(bar: Bar, count: Callable[[], float]) -> Iterator[None]:
    """Within, the bar follows `count`, which a thread calls four times a second. The bar never goes back."""
    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(SECONDS):
            bar.advance(max(0, count() - bar.done))

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def size_of(directory: Path) -> int:
    """The bytes of all files below a directory that the disk holds now; files may come and go meanwhile."""
    total = 0
    with suppress(OSError):
        for path in directory.rglob("*"):
            with suppress(OSError):
                about = path.lstat()
                total += min(about.st_size, about.st_blocks * 512) if path.is_file() else 0
    return total
