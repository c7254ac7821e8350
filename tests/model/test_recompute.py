"""Recomputed layers give the same gradients, and keep less."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from chaku.model.config import PRESETS, RECOMPUTE, LoraConfig
from chaku.model.fused import fused_states
from chaku.model.layout import shared_beginnings
from chaku.model.llama import Llama
from chaku.model.lora import add_lora, lora_layers

TOKENS = torch.randint(0, 512, (2, 64), generator=torch.Generator().manual_seed(1))
DOCUMENTS = torch.tensor([[0] * 40 + [1] * 24, [0] * 50 + [1] * 14])


def step(recompute, fused=False, lora=None):
    """The loss and all gradients, and the bytes that the forward pass kept."""
    torch.manual_seed(0)
    model = Llama(PRESETS["tiny"])
    if lora:
        add_lora(model, lora, torch.Generator().manual_seed(0))
        for _, layer in lora_layers(model):
            torch.nn.init.normal_(layer.lora_B, std=0.1)
    model.set_recompute(recompute)
    with kept_bytes() as kept:
        if fused:
            layout = shared_beginnings(TOKENS, DOCUMENTS)
            states = fused_states(model, layout, layout.places.flatten()[::3])
        else:
            states = model.forward_hidden(TOKENS, document_ids=DOCUMENTS)
        loss = (states @ model.lm_head.weight.t()).square().mean()
    loss.backward()
    return [loss.detach(), *(p.grad for p in model.parameters() if p.grad is not None)], sum(kept.values())


@contextmanager
def kept_bytes() -> Iterator[dict[int, int]]:
    kept: dict[int, int] = {}

    def keep(saved):
        kept[saved.untyped_storage().data_ptr()] = saved.untyped_storage().nbytes()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        yield kept


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("lora", [None, LoraConfig(rank=4)], ids=["all weights", "lora"])
@pytest.mark.parametrize("recompute", RECOMPUTE[1:])
def test_the_gradients_are_equal(recompute, lora, fused):
    for ours, theirs in zip(step(recompute, fused, lora)[0], step("none", fused, lora)[0], strict=True):
        torch.testing.assert_close(ours, theirs)


def test_less_is_kept():
    plain, fused = ({recompute: step(recompute, fused)[1] for recompute in RECOMPUTE} for fused in (False, True))
    assert plain["full"] < 0.5 * plain["none"]
    assert fused["full"] < 0.7 * fused["selective"] < 0.6 * fused["none"]
