"""A stage of training in a second: twelve steps of a tiny model on random tokens, which may kill themselves."""

import os

import numpy as np
import torch

from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.tokens.packed_dataset import PackedSample
from chaku.training.config import TrainingConfig
from chaku.training.trainer import train

__all__ = ["CONFIG", "Random", "fresh", "train"]

CONFIG = TrainingConfig(
    learning_rate=1e-3,
    tokens=12 * 4 * 32,
    batch_tokens=4 * 32,
    micro_batch_tokens=64,
    warmup_steps=2,
    precision="float32",
    checkpoint_every=3,
)


class Random:
    """A data set of random tokens, each sample a function of its index."""

    sequence_length = 32
    seed = 11

    def __init__(self, kill_at=None, poison=None):
        self.kill_at, self.poison = kill_at, poison

    def __getitem__(self, index):
        if self.kill_at is not None and index >= self.kill_at[0]:
            os.kill(os.getpid(), self.kill_at[1])
            self.kill_at = None
        tokens = np.random.default_rng(index).integers(0, 512, 33).astype(np.int32)
        return PackedSample(tokens, np.zeros(33, dtype=np.int32), 7, "random", 0)


def fresh():
    torch.manual_seed(3)
    return Llama(PRESETS["tiny"])
