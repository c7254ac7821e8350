"""SIGTERM and SIGINT ask a training to stop; it stops where its state can be saved."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from chaku.console import say


@contextmanager
def stop_requested(*, quiet: bool = False) -> Iterator[Callable[[], bool]]:
    """Inside this context, SIGTERM and SIGINT only set a flag. Yields a function that reads the flag.

    A second signal acts as usual.
    """
    received: list[int] = []
    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if not quiet:
            say("stopping after this micro-batch ...")
        for key, handler in previous.items():
            signal.signal(key, handler)

    try:
        for number in previous:
            signal.signal(number, note)
    except ValueError:  # not the main thread: Python lets only the main thread handle signals
        yield lambda: False
        return
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
