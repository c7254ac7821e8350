"""The estimate of what training takes, against a process that trains."""

import subprocess
import sys
from dataclasses import replace

import pytest

from chaku.model.config import PRESETS, LoraConfig
from chaku.training.config import TrainingConfig
from chaku.training.memory import num_trained, training_memory

MEASURE = """
import sys
from pathlib import Path
import torch
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.model.config import LoraConfig
from chaku.model.lora import add_lora
from chaku.training.config import TrainingConfig
from chaku.training.optimizers import make_optimizer
from chaku.training.step import optimizer_step, training_step_loss
torch.set_num_threads(1)
def memory(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))
small = Llama(PRESETS["tiny"])
training_step_loss(small, torch.randint(300, (1, 33))).backward()
optimizer_step(small, make_optimizer(small, TrainingConfig()), 1e-4, 1.0)
before = memory("VmRSS")
model = Llama(PRESETS["demo"])
if sys.argv[1] == "lora":
    add_lora(model, LoraConfig())
model.train()
optimizer = make_optimizer(model, TrainingConfig())
for _ in range(2):
    training_step_loss(model, torch.randint(2000, (4, 1025))).backward()
    optimizer_step(model, optimizer, 1e-4, 1.0)
print(memory("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from Linux's /proc")
@pytest.mark.parametrize("lora", [None, LoraConfig()])
def test_the_estimate_is_near_what_a_process_takes(lora: LoraConfig | None) -> None:
    words = [sys.executable, "-c", MEASURE, "lora" if lora else "whole"]
    measured = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    training = TrainingConfig(micro_batch_tokens=4096, batch_tokens=4096)
    assert 0.6 < training_memory(PRESETS["demo"], training, 1024, lora) / measured < 1.35


def test_what_makes_a_stage_smaller() -> None:
    shape, training = PRESETS["7b"], TrainingConfig()
    whole = training_memory(shape, training, 2048)
    assert whole > 16 * shape.num_parameters
    assert training_memory(shape, replace(training, micro_batch_tokens=2048), 2048) < whole
    lora = training_memory(shape, training, 2048, LoraConfig())
    assert lora < whole
    assert lora < training_memory(shape, training, 2048, LoraConfig(dropout=0.1))
    # The base is loaded again in float32 to merge the adapter, so a quantised base cannot take less than that.
    assert shape.num_parameters * 4 < training_memory(shape, training, 2048, LoraConfig(), "nf4") < lora


def test_lora_trains_two_matrices_a_target() -> None:
    shape = PRESETS["tiny"]
    assert num_trained(shape, None) == shape.num_parameters
    one = num_trained(shape, LoraConfig(rank=4, targets=("q_proj",)))
    assert one == shape.num_hidden_layers * 4 * 2 * shape.hidden_size
    assert num_trained(shape, LoraConfig(rank=4)) > 7 * one / 2
