"""The speed of training, which turns a recipe's minutes into tokens, is that of all ranks together."""

import pytest
import torch

from chaku.model.config import PRESETS, LoraConfig
from chaku.training.config import ParallelConfig, TrainingConfig
from chaku.training.ranks import lay_out
from chaku.training.speed import measure_training_speed, random_batches
from chaku.training.workload import Workload
from ranks import on_ranks

CPU = torch.device("cpu")


def speeds(times):
    """The speed on ranks whose every step takes `times` seconds by the clock."""
    clock = iter(range(1000))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("chaku.training.speed.time.perf_counter", lambda: next(clock) * times)
        found = []
        for lora in (None, LoraConfig(rank=2)):
            ranks = lay_out(ParallelConfig(), "cpu")
            training = TrainingConfig(batch_tokens=4 * 32, micro_batch_tokens=32, precision="float32")
            work = Workload(PRESETS["tiny"], training, 32, lora)
            found.append(measure_training_speed(work, random_batches(512, 4 // ranks.num_data, 32), CPU, ranks, 0.0))
        return found


def test_the_ranks_count_the_tokens_of_all_of_them():
    assert on_ranks(2, speeds, 0.5) == [[4 * 32 / 0.5] * 2] * 2
