"""Worker processes that clean documents; they end when their parent process ends, even when it is killed."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from chaku.cluster import current
from chaku.errors import ChakuError

PARENT_CHECK_SECONDS = 1.0


@contextmanager
def worker_map(num_workers: int) -> Iterator[Callable[..., Any]]:
    """A `map` over `num_workers` processes that keeps order; with one worker it runs in this process.

    On a Ray cluster (`chaku.cluster.joined`), its workers are used instead. Raises ChakuError when a worker is killed.
    """
    if (cluster := current()) is not None:
        yield cluster.map
        return
    if num_workers <= 1:
        yield map
        return
    # Spawned, not forked: the parent may hold threads, whose locks a fork would copy locked.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(num_workers, mp_context=context, initializer=_begin, initargs=(os.getpid(),))

    def map_over(*arguments: Any, **settings: Any) -> Iterator[Any]:
        # `map` submits all calls at once, which starts the workers. They inherit the block: Ctrl-C while Python starts
        # in them would print a traceback.
        with _interrupts_blocked():
            return pool.map(*arguments, **settings)

    try:
        yield map_over
    except BrokenProcessPool:
        raise ChakuError(
            f"one of {num_workers} worker processes was killed, usually because the memory was full; finished work is "
            "kept: start again, with fewer workers (corpus.num_workers) if there is too little memory"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(parent: int) -> None:
    """In a worker: leave Ctrl-C to the parent, and end when the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    os._exit(1)
