"""Activation checkpointing: the backward pass computes a layer's activations again instead of keeping them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts, noop_context_fn

from chaku.model.config import Recompute

_ATTENTION = {
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_attention_math",
    "_varlen_attn",
}
_PRODUCTS = {"mm", "addmm"}


def recomputed(recompute: Recompute, layer: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """`layer(*inputs)`, whose activations the backward pass computes again."""
    if recompute == "offload":
        with torch.autograd.graph.save_on_cpu(pin_memory=torch.cuda.is_available()):
            return checkpoint(layer, *inputs, use_reentrant=False)
    contexts = _selective if recompute == "selective" else noop_context_fn
    return checkpoint(layer, *inputs, use_reentrant=False, context_fn=contexts)


def _selective() -> Any:
    counts = {"forward": 0, "recompute": 0}
    return create_selective_checkpoint_contexts(partial(_policy, counts))


def _policy(counts: dict[str, int], context: Any, operation: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
    """Keep attention and every second matrix product."""
    name = operation.__name__.partition(".")[0]  # "mm" of aten.mm.default
    if name in _PRODUCTS:
        phase = "recompute" if context.is_recompute else "forward"
        counts[phase] += 1
        keep = counts[phase] % 2 == 1
    else:
        keep = name in _ATTENTION
    return CheckpointPolicy.MUST_SAVE if keep else CheckpointPolicy.PREFER_RECOMPUTE
