"""Projections in float8, emulated on a processor: which layers change, and how near the losses stay."""

import dataclasses

import pytest
import torch

from chaku import ChakuError
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.training.config import TrainingConfig
from chaku.training.float8 import use_float8
from chaku.training.optimizers import make_optimizer
from chaku.training.step import optimizer_step, training_step_loss

pytest.importorskip("torchao")
CPU = torch.device("cpu")


def losses(prepare):
    torch.manual_seed(0)
    model = Llama(PRESETS["tiny"])
    prepare(model)
    optimizer = make_optimizer(model, TrainingConfig())
    tokens = torch.randint(0, 512, (2, 33))
    found = []
    for _ in range(6):
        loss = training_step_loss(model, tokens)
        loss.backward()
        optimizer_step(model, optimizer, 3e-3, 1.0)
        found.append(float(loss.detach()))
    return found, model


def test_a_few_steps_are_near_those_in_float32():
    ours, model = losses(lambda model: use_float8(model, CPU, 32, emulate=True))
    expected, plain = losses(lambda model: None)
    assert ours == pytest.approx(expected, rel=0.01)
    assert ours != expected
    assert ours[-1] < 0.9 * ours[0]
    changed = {name for name, module in model.named_modules() if type(module).__name__ == "Float8Linear"}
    assert changed == {name for name, module in plain.named_modules() if name.endswith("_proj")}
    assert model.state_dict().keys() == plain.state_dict().keys()


def test_other_devices_and_odd_sizes_are_refused():
    model = Llama(PRESETS["tiny"])
    with pytest.raises(ChakuError, match=r"compute capability 8.9 or later"):
        use_float8(model, CPU, 32)
    with pytest.raises(ChakuError, match="sequence_length is 33"):
        use_float8(model, CPU, 33, emulate=True)
    odd = Llama(dataclasses.replace(PRESETS["tiny"], intermediate_size=100))
    with pytest.raises(ChakuError, match=r"gate_proj is 100"):
        use_float8(odd, CPU, 32, emulate=True)
