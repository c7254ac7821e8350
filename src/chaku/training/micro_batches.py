"""A rank's micro-batches, and what FSDP2 communicates and frees around them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from chaku.model.llama import Llama
from chaku.tokens.loader import Batch
from chaku.training.config import TrainingConfig
from chaku.training.ranks import Ranks
from chaku.training.schedule import micro_rows


class Stopped(Exception):
    """A stop was asked for between two micro-batches. The gradients of the unfinished step are worth nothing."""


def never() -> bool:
    """No stop is asked for."""
    return False


def micro_batches(
    model: Llama, batch: Batch, config: TrainingConfig, ranks: Ranks, stop: Callable[[], bool]
) -> Iterator[Batch]:
    """The micro-batches of this rank's part of a batch, `micro_rows` each.

    `stop` is asked after each of them: when it is true on any rank, raises Stopped on all.
    """
    rows = micro_rows(config, batch.sequence_length, ranks.num_context)
    last = -(-len(batch.tokens) // rows) - 1
    for number, part in enumerate(batch.split(rows)):
        if model.distributed:
            communicate(model, ranks, last=number == last)
        yield part
        if number < last and ranks.any(stop()):
            free_whole_weights(model)
            raise Stopped


def communicate(model: Any, ranks: Ranks, *, last: bool) -> None:
    """Tell FSDP2 what to communicate in the next micro-batch. HSDP's copies add up their gradients after the last."""
    model.set_requires_all_reduce(last)
    if not ranks.reshard:
        model.set_requires_gradient_sync(last)
        model.set_reshard_after_backward(last)


@contextmanager
def measuring(model: Llama) -> Iterator[None]:
    """Inside, the model computes without gradients and without dropout."""
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train()
        free_whole_weights(model)


def free_whole_weights(model: Llama) -> None:
    """Let the model's parameters be this rank's parts again, after a forward pass without a last backward pass.

    FSDP2 does so in the backward pass. Until then, an optimizer that is made, and a state or a model that is saved,
    would take the whole weights for the parameters.
    """
    if model.distributed:
        from torch.distributed.fsdp import FSDPModule  # half a second, which one process does not need

        for module in model.modules():
            if isinstance(module, FSDPModule):
                module.reshard()
