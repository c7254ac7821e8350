"""Processes that clean documents: they end with the process that started them, however that ends."""

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

from chaku.errors import ChakuError

PARENT_CHECK_SECONDS = 1.0


@contextmanager
def worker_map(num_workers: int) -> Iterator[Callable[..., Any]]:
    """A `map` that keeps order, over so many processes; in this one when there is one.

    Raises ChakuError when a worker is killed.
    """
    if num_workers <= 1:
        yield map
        return
    # Spawned, not forked: the parent may hold threads, whose locks a fork would copy locked.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(num_workers, mp_context=context, initializer=_begin, initargs=(os.getpid(),))
    try:
        yield pool.map
    except BrokenProcessPool:
        raise ChakuError(
            f"one of {num_workers} worker processes was killed, usually for want of memory; what is done is kept: "
            "start again, with fewer workers (corpus.num_workers) if there is too little memory"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(parent: int) -> None:
    """In a worker: Ctrl-C is for the parent to act on; a parent that was killed takes its workers with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    os._exit(1)
