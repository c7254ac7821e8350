"""The fused loss is the plain one, and accumulation changes nothing."""

import pytest
import torch
import torch.nn.functional as F

from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.training import dpo as dpo_module
from chaku.training import step as step_module
from chaku.training.config import TrainingConfig
from chaku.training.optimizers import make_optimizer
from chaku.training.step import autocast, optimizer_step, training_step_loss


def plain_loss(model, tokens, ignore):
    labels = tokens[:, 1:].masked_fill(ignore[:, 1:], -100)
    return F.cross_entropy(model(tokens[:, :-1]).float().flatten(0, 1), labels.flatten(), ignore_index=-100)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-6), ("bfloat16", 2e-2)])
def test_loss_and_gradients_equal_plain_cross_entropy(precision, tolerance, monkeypatch):
    monkeypatch.setattr(step_module, "score_rows", lambda vocab_size: 64)  # two pieces, the last one short
    torch.manual_seed(0)
    model = Llama(PRESETS["tiny"])
    tokens = torch.randint(0, 512, (3, 26))
    documents = torch.zeros_like(tokens)
    documents[1, 20:] = -1
    gradients = []
    for loss_of in (
        lambda: training_step_loss(model, tokens, documents),
        lambda: plain_loss(model, tokens, documents < 0),
    ):
        model.zero_grad()
        with autocast(torch.device("cpu"), precision):
            loss = loss_of()
        loss.backward()
        gradients.append([loss.detach(), *(p.grad.clone() for p in model.parameters())])
    for ours, theirs in zip(*gradients, strict=True):
        assert (ours - theirs).norm() <= tolerance * theirs.norm() + 1e-7


@pytest.mark.parametrize("module", [step_module, dpo_module])
def test_the_gradient_of_bfloat16_output_weights_is_summed_in_float32(module, monkeypatch):
    """Its error is that of single products and of one cast: it does not grow with the number of pieces."""
    monkeypatch.setattr(module, "score_rows", lambda vocab_size: 2)
    torch.manual_seed(0)
    hidden = torch.randn(512, 16).bfloat16()
    weight = torch.randn(8, 16).bfloat16().requires_grad_()
    labels = torch.randint(0, 8, (512,))

    def gradient(weight):
        if module is step_module:
            loss = step_module._LinearCrossEntropy.apply(hidden.to(weight.dtype), weight, labels, 1, None)
        else:
            loss = -dpo_module.token_log_probabilities(hidden.to(weight.dtype), weight, labels).sum()
        return torch.autograd.grad(loss, weight)[0]

    exact, ours = gradient(weight.detach().double().requires_grad_()), gradient(weight)
    assert ours.dtype == torch.bfloat16
    assert (ours - exact).norm() < 0.003 * exact.norm()


def test_micro_batches_add_up_to_the_global_mean():
    torch.manual_seed(0)
    model = Llama(PRESETS["tiny"])
    tokens = torch.randint(0, 512, (4, 17))
    documents = torch.zeros_like(tokens)
    documents[0, 4:] = -1  # micro-batches with unequal numbers of valid tokens
    whole = training_step_loss(model, tokens, documents)
    num_valid = int((documents[:, 1:] >= 0).sum())
    parts = [training_step_loss(model, tokens[i : i + 1], documents[i : i + 1], num_valid) for i in range(4)]
    torch.testing.assert_close(sum(parts), whole)


def test_document_masking_keeps_documents_apart():
    torch.manual_seed(0)
    model = Llama(PRESETS["tiny"])
    tokens = torch.randint(0, 512, (1, 21))
    documents = torch.tensor([[0] * 11 + [1] * 10])
    other = tokens.clone()
    other[0, :5] = 7
    ends = [training_step_loss(model, t, documents, 1, document_masking=True) for t in (tokens, other)]
    # The first document's own predictions end with that of the second's first token; the rest must not change.
    firsts = [training_step_loss(model, t[:, :12], None, 1) for t in (tokens, other)]
    second = [end - first for end, first in zip(ends, firsts, strict=True)]
    torch.testing.assert_close(second[0], second[1], atol=1e-4, rtol=1e-4)


def test_weight_decay_spares_norms_and_clipping_bounds_the_update():
    model = Llama(PRESETS["tiny"])
    optimizer = make_optimizer(model, TrainingConfig())
    decayed = {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    assert all((p.ndim >= 2) == (id(p) in decayed) for p in model.parameters())
    training_step_loss(model, torch.randint(0, 512, (2, 17))).mul(1e4).backward()
    norm = optimizer_step(model, optimizer, 1e-3, max_grad_norm=1.0)
    assert norm > 1e3
    assert all(p.grad is None for p in model.parameters())
    assert optimizer.param_groups[0]["lr"] == 1e-3
