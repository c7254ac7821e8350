"""Recomputed layers give the same gradients, and keep less."""

import pytest
import torch

from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.model.recompute import RECOMPUTE


def step(recompute):
    torch.manual_seed(0)
    model = Llama(PRESETS["tiny"])
    for layer in model.model.layers:
        layer.recompute = recompute
    tokens = torch.randint(0, 512, (2, 64), generator=torch.Generator().manual_seed(1))
    kept: dict[int, int] = {}

    def keep(saved):
        kept[saved.untyped_storage().data_ptr()] = saved.untyped_storage().nbytes()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        loss = model(tokens).square().mean()
    loss.backward()
    return [loss.detach(), *(parameter.grad for parameter in model.parameters())], sum(kept.values())


@pytest.mark.parametrize("recompute", RECOMPUTE[1:])
def test_the_gradients_are_equal(recompute):
    for ours, theirs in zip(step(recompute)[0], step("none")[0], strict=True):
        torch.testing.assert_close(ours, theirs)


def test_less_is_kept():
    assert step("full")[1] < 0.5 * step("none")[1]
