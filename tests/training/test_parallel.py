"""On any layout of ranks, training gives the losses of one process."""

import dataclasses
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from chaku import ChakuError
from chaku.model.config import PRESETS, LoraConfig
from chaku.model.llama import Llama
from chaku.model.lora import add_lora
from chaku.model.quantization import quantize
from chaku.tokens.loader import Batch
from chaku.training.config import DpoConfig, ParallelConfig, TrainingConfig
from chaku.training.dpo import accumulate_pairs
from chaku.training.optimizers import make_optimizer
from chaku.training.parallel import parallelize
from chaku.training.ranks import ALONE, lay_out
from chaku.training.step import accumulate, autocast, optimizer_step, training_step_loss
from ranks import on_ranks

STEPS, ROWS, SEQ = 6, 8, 32
SHAPE = dataclasses.replace(PRESETS["tiny"], num_attention_heads=4, num_key_value_heads=2)
CONFIG = TrainingConfig(learning_rate=1e-3, micro_batch_tokens=64)
KINDS = ("pretraining", "lora", "conversations", "pairs")
SINGLE = (ParallelConfig(), ParallelConfig(tensor=2), ParallelConfig(context=2))
HSDP = ParallelConfig(replicate=2, reshard=False)
PAIRS = (
    ParallelConfig(tensor=2, context=2),
    ParallelConfig(replicate=2, context=2),
    ParallelConfig(replicate=2, tensor=2),
)
# (ranks, layouts, kinds of training, steps). The slow case has all that the quick ones leave out.
CASES = [
    pytest.param(2, (ParallelConfig(reshard=False), *SINGLE[1:]), KINDS, STEPS, id="2 ranks"),
    pytest.param(4, (HSDP, PAIRS[0]), ("pretraining", "pairs"), STEPS, id="4 ranks"),
    pytest.param(4, (*SINGLE, HSDP, *PAIRS), KINDS, 20, id="4 ranks, all layouts and kinds", marks=pytest.mark.slow),
]


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


def train_kind(kind, ranks, shape=SHAPE, config=CONFIG, steps=STEPS):
    """The losses and gradient norms of the steps."""
    torch.manual_seed(0)
    model = Llama(shape)
    if kind == "lora":
        add_lora(model, LoraConfig(rank=4), torch.Generator().manual_seed(1))
    model.set_recompute(config.recompute)
    parallelize(model, ranks, SEQ, "float32")
    optimizer = make_optimizer(model, config)
    losses, device = [], torch.device("cpu")
    for step in range(steps):
        batch = part_of(batch_of(kind, step), ranks)
        if kind == "pairs":
            loss, notes = accumulate_pairs(model, batch, DpoConfig(), config, device, ranks)
            losses.append(notes["dpo_margin"])
        else:
            loss = accumulate(training_step_loss, model, batch, config, device, ranks)
        losses += [loss, optimizer_step(model, optimizer, 1e-3, 1.0)]
    return np.array(losses)


def train_layouts(layouts, kinds, steps):
    return [[train_kind(kind, lay_out(layout, "cpu"), steps=steps) for kind in kinds] for layout in layouts]


@pytest.mark.parametrize(("size", "layouts", "kinds", "steps"), CASES)
def test_every_layout_gives_the_losses_of_one_process(size, layouts, kinds, steps):
    alone = {kind: train_kind(kind, ALONE, steps=steps) for kind in kinds}
    for of_rank in on_ranks(size, train_layouts, layouts, kinds, steps):
        for layout, found in zip(layouts, of_rank, strict=True):
            for kind, losses in zip(kinds, found, strict=True):
                np.testing.assert_allclose(losses, alone[kind], rtol=0, atol=1e-5, err_msg=f"{kind} on {layout}")


def train_quantized(layout, precision):
    """The losses of a step with an adapter on an NF4 base, and of one with all weights, in a precision."""
    ranks = lay_out(layout, "cpu") if layout else ALONE
    found, device = [], torch.device("cpu")
    for quantized in (True, False):
        torch.manual_seed(0)
        model = Llama(SHAPE)
        if quantized:
            quantize(model, "nf4")
            add_lora(model, LoraConfig(rank=4), torch.Generator().manual_seed(1))
        parallelize(model, ranks, SEQ, precision)
        optimizer = make_optimizer(model, CONFIG)
        for step in range(3):
            batch = part_of(batch_of("lora", step), ranks)
            with nullcontext() if ranks.size > 1 else autocast(device, precision):
                found.append(accumulate(training_step_loss, model, batch, CONFIG, device, ranks))
            found.append(optimizer_step(model, optimizer, 1e-3, 1.0))
    return found


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.01)])
def test_a_quantised_base_and_bfloat16(precision, tolerance):
    expected = train_quantized(None, precision)
    for found in on_ranks(2, train_quantized, ParallelConfig(), precision):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=1e-5)


def wrong_layout(layout, shape, sequence_length):
    ranks = lay_out(layout, "cpu")
    try:
        parallelize(Llama(shape), ranks, sequence_length, "float32")
    except ChakuError as error:
        return str(error)


def test_sizes_that_do_not_divide_are_named():
    with pytest.raises(ChakuError, match="replicate 1 x shard 3 x context 1 x tensor 1 is 3 ranks, but torchrun"):
        ParallelConfig(shard=3).sizes(4)
    three = dataclasses.replace(SHAPE, num_attention_heads=6, num_key_value_heads=3, head_dim=16)
    [said, _] = on_ranks(2, wrong_layout, ParallelConfig(tensor=2), three, SEQ)
    assert "3 key-value heads cannot be divided among 2 ranks (tensor)" in said
    [said, _] = on_ranks(2, wrong_layout, ParallelConfig(context=2), SHAPE, 34)
    assert "34 tokens of a sequence cannot be divided among 4 ranks" in said


VARIANTS = [{"optimizer": "muon"}, {"optimizer": "adamw8bit"}, {"recompute": "selective"}, {"recompute": "full"}]


def train_variants(layout):
    ranks = ALONE if layout is None else lay_out(layout, "cpu")
    configs = [dataclasses.replace(CONFIG, **variant) for variant in VARIANTS]
    return [train_kind("pretraining", ranks, config=config, steps=4) for config in configs]


@pytest.mark.parametrize("layout", [ParallelConfig(), ParallelConfig(tensor=2)], ids=["FSDP2", "tensor"])
def test_optimizers_and_recomputation_do_not_depend_on_the_ranks(layout):
    pytest.importorskip("torchao")
    [ours, _], expected = on_ranks(2, train_variants, layout), train_variants(None)
    for variant, found, wanted in zip(VARIANTS, ours, expected, strict=True):
        # A moment of 8 bits may round to a neighbour.
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4, err_msg=str(variant))
