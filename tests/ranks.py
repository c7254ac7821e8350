"""Runs a function on several ranks of a gloo process group, each a process of its own."""

import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import socket
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
import torch.distributed as dist

from killing import SERVER

TIMEOUT = 300  # seconds for all answers of a test


def on_ranks(size: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What `function(*arguments)` returns on each of `size` ranks. Fails with the tracebacks of ranks that failed."""
    ranks, answers = _start(size, function, arguments)
    try:
        found = _gather(ranks, answers)
        for process in ranks:
            process.join(60)
    finally:
        for process in ranks:
            process.kill()
    failed = [f"rank {rank}:\n{answer}" for rank, (good, answer) in sorted(found.items()) if not good]
    assert not failed, "\n".join(failed)
    return [found[rank][1] for rank in range(size)]


def _gather(ranks: list[Any], answers: Any) -> dict[int, Any]:
    """The answer of each rank. Fails when a rank ended without one, or when they take too long."""
    found: dict[int, Any] = {}
    since = time.monotonic()
    while len(found) < len(ranks):
        ended = {rank: process.exitcode for rank, process in enumerate(ranks) if not process.is_alive()}
        try:
            rank, answer = answers.get(timeout=2)  # a process that ended has sent what it had to send
            found[rank] = answer
        except queue.Empty:
            silent = {rank: code for rank, code in ended.items() if rank not in found}
            assert not silent, f"ranks ended without an answer (rank: exit code): {silent}; stderr says why"
            assert time.monotonic() < since + TIMEOUT, f"no answer of ranks {set(range(len(ranks))) - set(found)}"
    return found


def until_one_is_killed(size: int, function: Callable[..., Any], *arguments: Any) -> bool:
    """Run `function(*arguments)` on `size` ranks until one dies by SIGKILL, as torchrun does; end the others then.

    Returns whether one died so.
    """
    ranks, _ = _start(size, function, arguments)
    ended = [process.sentinel for process in ranks]
    while ended and not any(process.exitcode for process in ranks):
        for sentinel in multiprocessing.connection.wait(ended, timeout=600):
            ended.remove(sentinel)
    died = any(process.exitcode == -signal.SIGKILL for process in ranks)
    for process in ranks:
        process.kill()
        process.join()
    return died


def _start(size: int, function: Callable[..., Any], arguments: tuple) -> tuple[list[Any], Any]:
    answers = SERVER.Queue()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [SERVER.Process(target=_run, args=(rank, size, port, answers, function, arguments)) for rank in range(size)]
    for process in ranks:
        process.start()
    return ranks, answers


def _run(rank: int, size: int, port: int, answers: Any, function: Callable[..., Any], arguments: tuple) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": str(size)}
    torch.set_num_threads(1)
    try:
        dist.init_process_group("gloo")
        answers.put((rank, (True, function(*arguments))))
        with suppress(RuntimeError):  # the ranks have lost contact with each other
            dist.barrier()
        dist.destroy_process_group()
    except BaseException:
        answers.put((rank, (False, traceback.format_exc())))
        raise
