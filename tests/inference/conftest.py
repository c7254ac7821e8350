"""A tiny random model with its tokenizer."""

import pytest
import torch

from chaku.inference.engine import Engine
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.tokens.tokenizer_training import train_tokenizer


@pytest.fixture(scope="session")
def tokenizer():
    return train_tokenizer(["def add(a, b):\n    return a + b ☺ für\n", "for x in range(10):\n    print(x)\n"], 310)


@pytest.fixture(scope="session")
def engine(tokenizer):
    torch.manual_seed(1)
    model = Llama(PRESETS["tiny"])
    with torch.no_grad():
        model.lm_head.weight.mul_(20)  # clear winners: batches may differ in the last bit
    return Engine(model.eval(), tokenizer, batch_size=3)
