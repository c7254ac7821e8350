"""The estimate of what training takes, against a process that trains."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from typing import Any

import pytest

from chaku.model.config import PRESETS, LoraConfig
from chaku.model.memory import model_memory
from chaku.training.config import TrainingConfig
from chaku.training.memory import num_trained, training_memory
from chaku.training.workload import Workload

MEASURE = """
import json, sys
from pathlib import Path
import torch
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.model.config import LoraConfig
from chaku.model.lora import add_lora
from chaku.training.config import TrainingConfig
from chaku.training import step
from chaku.training.optimizers import make_optimizer
torch.set_num_threads(1)
settings = json.loads(sys.argv[1])
if settings["compile"]:  # the plain decoder, as under compilation, but without the minute that a compilation takes
    step.can_fuse = lambda model, longest: False
def memory(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))
def train(model, lora, rows, length, num_batches):
    if lora is not None:
        add_lora(model, LoraConfig(**lora))
    model.set_recompute(settings["recompute"])
    optimizer = make_optimizer(model.train(), TrainingConfig(optimizer=settings["optimizer"]))
    for _ in range(2):
        for _ in range(num_batches):
            step.training_step_loss(model, torch.randint(500, (rows, length + 1))).backward()
        step.optimizer_step(model, optimizer, 1e-4, 1.0)
train(Llama(PRESETS["tiny"]), None, 1, 32, 1)
before = memory("VmRSS")
train(Llama(PRESETS["demo"]), settings["lora"], 4, 1024, settings["num_batches"])
print(memory("VmHWM") - before)
"""
LORA, DROPOUT = LoraConfig(), LoraConfig(dropout=0.1)


def case(lora=None, num_batches=1, compile=False, **settings):
    """A LoRA adapter or None, and the settings of a stage."""
    tokens = {"micro_batch_tokens": 4096, "batch_tokens": num_batches * 4096}
    return lora, TrainingConfig(**tokens, compile=compile, **settings)


def slow(*arguments, **settings):
    return pytest.param(*case(*arguments, **settings), marks=pytest.mark.slow)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from Linux's /proc")
@pytest.mark.parametrize(
    ("lora", "training"),
    [
        case(),
        case(recompute="full"),
        slow(LORA),
        slow(DROPOUT),
        slow(num_batches=2),
        slow(recompute="selective"),
        slow(compile=True),
        slow(compile=True, recompute="selective"),
        slow(compile=True, recompute="full"),
        slow(optimizer="muon"),
        slow(optimizer="adamw8bit"),
    ],
)
def test_the_estimate_is_near_what_a_process_takes(lora: LoraConfig | None, training: TrainingConfig) -> None:
    settings = {
        "lora": lora and asdict(lora),
        "num_batches": training.batch_tokens // training.micro_batch_tokens,
        **{name: getattr(training, name) for name in ("recompute", "optimizer", "compile")},
    }
    # Without gaps between tensors: the C library then takes each tensor from the system, and gives it back.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    words = [sys.executable, "-c", MEASURE, json.dumps(settings)]
    measured = int(subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout)
    assert training_memory(Workload(PRESETS["demo"], training, 1024, lora)) == pytest.approx(measured, rel=0.1)


def needed(training: TrainingConfig, sequence_length: int, device: str = "cpu", **settings: Any) -> int:
    return training_memory(Workload(PRESETS["7b"], training, sequence_length, **settings), device)


def test_what_makes_a_stage_smaller() -> None:
    shape, training = PRESETS["7b"], TrainingConfig()
    whole = needed(training, 2048)
    assert whole > 16 * shape.num_parameters
    assert needed(replace(training, micro_batch_tokens=2048), 2048) < whole
    for device in ("cpu", "cuda"):
        sizes = [
            needed(replace(training, recompute=recompute), 16384, device) for recompute in ("none", "selective", "full")
        ]
        assert sizes == sorted(sizes, reverse=True)
    assert needed(replace(training, recompute="offload"), 16384, "cuda") < sizes[-1]
    eight, muon = (needed(replace(training, optimizer=name), 2048) for name in ("adamw8bit", "muon"))
    assert eight < muon < whole
    lora = needed(training, 2048, lora=LoraConfig())
    assert lora < whole
    assert lora < needed(training, 2048, lora=LoraConfig(dropout=0.1))
    # The merge of the adapter reads the base tensor by tensor, so it never takes the memory of the base in float32.
    small = replace(training, micro_batch_tokens=2048, recompute="full")
    quantized = needed(small, 2048, lora=LoraConfig(), scheme="nf4")
    assert quantized < shape.num_parameters * 4
    assert quantized > model_memory(shape, scheme="nf4") + 5e9


def test_lora_trains_two_matrices_a_target() -> None:
    shape = PRESETS["tiny"]
    assert num_trained(shape, None) == shape.num_parameters
    one = num_trained(shape, LoraConfig(rank=4, targets=("q_proj",)))
    assert one == shape.num_hidden_layers * 4 * 2 * shape.hidden_size
    assert num_trained(shape, LoraConfig(rank=4)) > 7 * one / 2
