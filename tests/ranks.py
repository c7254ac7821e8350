"""Runs a function on several ranks of a gloo process group, each a process of its own."""

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist


def on_ranks(size: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What `function(*arguments)` returns on each of `size` ranks. Fails with the tracebacks of ranks that failed."""
    context = multiprocessing.get_context("forkserver")  # its server imports torch once, for all ranks of all tests
    context.set_forkserver_preload(["chaku.training.trainer", "chaku.training.parallel", "chaku.pipeline.training"])
    answers = context.Queue()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [
        context.Process(target=_run, args=(rank, size, port, answers, function, arguments)) for rank in range(size)
    ]
    for process in ranks:
        process.start()
    found = dict(answers.get(timeout=600) for _ in ranks)
    for process in ranks:
        process.join(20)
    failed = [f"rank {rank}:\n{answer}" for rank, (good, answer) in sorted(found.items()) if not good]
    assert not failed, "\n".join(failed)
    return [found[rank][1] for rank in range(size)]


def _run(rank: int, size: int, port: int, answers: Any, function: Callable[..., Any], arguments: tuple) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": str(size)}
    torch.set_num_threads(1)
    try:
        dist.init_process_group("gloo")
        answers.put((rank, (True, function(*arguments))))
        dist.barrier()
        dist.destroy_process_group()
    except BaseException:
        answers.put((rank, (False, traceback.format_exc())))
