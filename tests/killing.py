"""kill -9 at a chosen call of a function, without a new Python and a new torch for every kill.

Every killed process is a fork of one server that has imported them and has done nothing else. A process that has
trained cannot be the server: torch refuses to train in its forks.
"""

import importlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from itertools import count
from typing import Any

import torch

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        "torch",
        "torch._dynamo",  # the first optimizer imports it: a second and a half of every fork otherwise
        "torch.distributed.tensor.parallel",
        "torch.distributed.fsdp",
        "torch.distributed.checkpoint",
        "torch.utils.tensorboard",  # so does a stage, where it is installed
        "torchao.quantization",
        "pytest",  # test modules import it
        "pandas",  # pyarrow imports it where it is installed
        "pyarrow.parquet",
        "chaku.cli",
        "chaku.corpus.build",
        "chaku.pipeline.run",
        "chaku.reinforcement.rollouts",
        "chaku.report.page",
        "chaku.training.trainer",
        "chaku.training.parallel",
    ]
)


def killed_at(function: str, number: int, action: Callable[..., Any], *arguments: Any) -> bool:
    """Whether `action(*arguments)`, in a process of its own, came to the N-th call of a function and died there.

    `function`: with its module, as `chaku.pipeline.stage_model.save_model`. `action`: of a module that lies beside this
    one or in chaku, so that the other process finds it.
    """
    process = SERVER.Process(target=_run, args=(function, number, action, arguments))
    process.start()
    process.join()
    died = process.exitcode == -signal.SIGKILL
    process.close()
    return died


def _run(function: str, number: int, action: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    name, _, attribute = function.rpartition(".")
    module, calls = importlib.import_module(name), count(1)
    original = getattr(module, attribute)

    def counted(*positional: Any, **named: Any) -> Any:
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*positional, **named)

    setattr(module, attribute, counted)
    action(*arguments)
