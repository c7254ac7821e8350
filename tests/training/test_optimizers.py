"""The optimizers of a stage: which weights each one trains, and by how much."""

import pytest
import torch

from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.training.config import TrainingConfig
from chaku.training.optimizers import make_optimizer
from chaku.training.step import optimizer_step, training_step_loss


def trained(optimizer, steps=3, rate=1e-3):
    """A model after a few steps, and how far each weight moved: the root mean square of its change."""
    torch.manual_seed(0)
    model = Llama(PRESETS["tiny"])
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    maker = make_optimizer(model, TrainingConfig(optimizer=optimizer, weight_decay=0.0))
    tokens = torch.randint(0, 512, (4, 65))
    losses = []
    for _ in range(steps):
        loss = training_step_loss(model, tokens)
        loss.backward()
        optimizer_step(model, maker, rate, 1.0)
        losses.append(float(loss.detach()))
    moved = {name: (p.detach() - before[name]).square().mean().sqrt().item() for name, p in model.named_parameters()}
    return model, maker, losses, moved


def test_muon_moves_matrices_as_far_as_adamw_and_in_all_directions_alike():
    model, optimizer, losses, moved = trained("muon", steps=1)
    assert isinstance(optimizer, torch.optim.Optimizer)
    matrices = {name for name in moved if name.startswith("model.layers.") and not name.endswith("norm.weight")}
    muon = {name for name, parameter in model.named_parameters() if "momentum_buffer" in optimizer.state[parameter]}
    assert muon == matrices
    assert all(moved[name] == pytest.approx(0.2e-3, rel=0.3) for name in matrices)
    # AdamW's first step is the learning rate itself, on every weight with a gradient.
    assert moved["model.norm.weight"] == pytest.approx(1e-3, rel=0.2)
    assert trained("muon", steps=4)[2][-1] < losses[0]


def test_muon_leaves_embedding_output_and_norms_as_adamw_does():
    _, _, _, ours = trained("muon", steps=1)
    _, _, _, theirs = trained("adamw", steps=1)
    for name in ("lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"):
        assert ours[name] == theirs[name]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_norms_have_no_weight_decay(optimizer):
    model = Llama(PRESETS["tiny"])
    maker = make_optimizer(model, TrainingConfig(optimizer=optimizer))
    decayed = {id(p) for group in maker.param_groups if group["weight_decay"] for p in group["params"]}
    held = {id(p) for group in maker.param_groups for p in group["params"]}
    assert held == {id(p) for p in model.parameters()}
    assert all((p.ndim >= 2) == (id(p) in decayed) for p in model.parameters())


def test_moments_of_8_bits_learn_as_those_of_32():
    pytest.importorskip("torchao")
    model, optimizer, losses, _ = trained("adamw8bit")
    plain, adamw, expected, _ = trained("adamw")
    assert losses == pytest.approx(expected, rel=2e-3)
    assert losses != expected
    weight = model.model.layers[0].mlp.up_proj.weight
    moment = optimizer.state[weight]["exp_avg"]
    held = adamw.state[plain.model.layers[0].mlp.up_proj.weight]["exp_avg"]
    assert moment.codes.nbytes + moment.scale.nbytes < 0.27 * held.nbytes
