"""Show the progress of another program's download by the sizes of the files that it writes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaku.console import Bar

SECONDS = 0.25  # between two updates


@contextmanager
def watch(bar: Bar, count: Callable[[], float]) -> Iterator[None]:
    """Inside the block, a thread sets the bar to `count()` four times a second. The bar never goes back."""
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
    """The bytes on disk of all files below a directory, which may change meanwhile."""
    total = 0
    with suppress(OSError):
        for path in directory.rglob("*"):
            with suppress(OSError):
                about = path.lstat()
                total += min(about.st_size, about.st_blocks * 512) if path.is_file() else 0
    return total
