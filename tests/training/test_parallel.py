"""On any layout of ranks, training gives the losses of one process."""

import dataclasses

import numpy as np
import pytest
import torch

from chaku.model.config import PRESETS, LoraConfig
from chaku.model.llama import Llama
from chaku.model.lora import add_lora
from chaku.tokens.loader import Batch
from chaku.training.config import DpoConfig, ParallelConfig, TrainingConfig
from chaku.training.dpo import accumulate_pairs
from chaku.training.parallel import parallelize
from chaku.training.ranks import ALONE, lay_out
from chaku.training.step import accumulate, make_optimizer, optimizer_step, training_step_loss
from ranks import on_ranks

STEPS, ROWS, SEQ = 20, 8, 32
SHAPE = dataclasses.replace(PRESETS["tiny"], num_attention_heads=4, num_key_value_heads=2)
CONFIG = TrainingConfig(learning_rate=1e-3, micro_batch_tokens=128)
LAYOUTS = {
    2: [ParallelConfig(), ParallelConfig(tensor=2), ParallelConfig(context=2)],
    4: [
        ParallelConfig(),
        ParallelConfig(replicate=2),
        ParallelConfig(tensor=2),
        ParallelConfig(context=2),
        ParallelConfig(tensor=2, context=2),
        ParallelConfig(replicate=2, context=2),
        ParallelConfig(replicate=2, tensor=2),
    ],
}
KINDS = ("pretraining", "lora", "conversations", "pairs")


def batch_of(kind, step):
    """The global batch of one step."""
    generator = torch.Generator().manual_seed(step)
    tokens = torch.randint(0, 512, (ROWS, SEQ + 1), generator=generator)
    documents = torch.zeros_like(tokens)
    if kind in ("pretraining", "lora"):
        return Batch(tokens, documents, 0, step * ROWS)
    edges = torch.tensor([0] * 7 + [1] * 9 + [2] * 4 + [3] * 10 + [-1] * 3)
    documents = edges.expand(ROWS, -1).clone()
    documents[1] = torch.tensor([0] * 10 + [1] * 10 + [-1] * 13)
    trained = (torch.rand(tokens.shape, generator=generator) < 0.6) & (documents >= 0)
    if kind == "conversations":
        return Batch(tokens, documents, 0, step * ROWS, trained)
    trained[:, [2, 10, 17, 25]] = True  # every reply has a token with a loss
    reference = -torch.rand((ROWS, 4), generator=generator) * 20 - 5
    trained &= documents >= 0
    return Batch(tokens, documents, 0, step * ROWS, trained, reference)


def part_of(batch, ranks):
    rows = ROWS // ranks.num_data
    return list(batch.split(rows))[ranks.data_rank]


def train_kind(kind, ranks, shape=SHAPE):
    """The losses and gradient norms of STEPS steps."""
    torch.manual_seed(0)
    model = Llama(shape)
    if kind == "lora":
        add_lora(model, LoraConfig(rank=4), torch.Generator().manual_seed(1))
    parallelize(model, ranks, SEQ, "float32")
    optimizer = make_optimizer(model, CONFIG)
    losses, device = [], torch.device("cpu")
    for step in range(STEPS):
        batch = part_of(batch_of(kind, step), ranks)
        if kind == "pairs":
            loss, notes = accumulate_pairs(model, batch, DpoConfig(), CONFIG, device, ranks)
            losses.append(notes["dpo_margin"])
        else:
            loss = accumulate(training_step_loss, model, batch, CONFIG, device, ranks)
        losses += [loss, optimizer_step(model, optimizer, 1e-3, 1.0)]
    return np.array(losses)


def train_layouts(layouts):
    return [[train_kind(kind, lay_out(layout, "cpu")) for kind in KINDS] for layout in layouts]


@pytest.fixture(scope="module")
def alone():
    return [train_kind(kind, ALONE) for kind in KINDS]


@pytest.mark.parametrize("size", LAYOUTS)
def test_every_layout_gives_the_losses_of_one_process(alone, size):
    answers = on_ranks(size, train_layouts, LAYOUTS[size])
    for of_rank in answers:
        for layout, kinds in zip(LAYOUTS[size], of_rank, strict=True):
            for kind, ours, theirs in zip(KINDS, kinds, alone, strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5, err_msg=f"{kind} on {layout}")
