"""A model that ranks share is made, and saved, as one process does it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from chaku.checkpoint.formats import load_model, open_checkpoint
from chaku.checkpoint.huggingface import build_model, random_tensors, save_model, with_new_rows
from chaku.model.config import PRESETS, LoraConfig
from chaku.model.lora import add_lora
from chaku.training.config import ParallelConfig
from chaku.training.ranks import lay_out, whole_tensor
from chaku.training.sharded import save_sharded, sharded_model
from ranks import on_ranks

CPU = torch.device("cpu")
TINY = PRESETS["tiny"]
TIED = dataclasses.replace(TINY, tie_word_embeddings=True)


def weights_on(layout, shape, directory, lora=None, shard_bytes=100_000):
    """The whole weights of a model that ranks read from `directory`, or draw; and save there."""
    ranks = lay_out(layout, "cpu")
    read = Path(directory) / "read"
    tensors = open_checkpoint(read).tensors if read.exists() else random_tensors(shape, 5)
    tensors = with_new_rows(tensors, shape, 7)
    model = sharded_model(shape, tensors, read, CPU, ranks, 32, "float32", lora=lora, seed=3)
    if not lora:
        save_sharded(model, Path(directory) / "saved", ranks, shard_bytes)
    return {name: whole_tensor(weight).numpy() for name, weight in model.named_parameters()}


def assert_equal(found, model):
    expected = dict(model.named_parameters())
    assert found.keys() == expected.keys()
    for name, weight in found.items():
        np.testing.assert_array_equal(weight, expected[name].detach(), err_msg=name)


@pytest.mark.parametrize("shape", [TINY, TIED], ids=["untied", "tied"])
@pytest.mark.parametrize("layout", [ParallelConfig(), ParallelConfig(tensor=2)], ids=["shard", "tensor"])
def test_new_weights_and_their_export_are_those_of_one_process(layout, shape, tmp_path):
    expected = build_model(shape, random_tensors(shape, 5), "new")
    for found in on_ranks(4, weights_on, layout, shape, tmp_path):
        assert_equal(found, expected)
    saved = tmp_path / "saved"
    assert len(list(saved.glob("model-*-of-*.safetensors"))) > 2
    assert_equal({name: w.detach().numpy() for name, w in load_model(saved).named_parameters()}, expected)
    assert not list(saved.glob(".shard-*"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_checkpoint_is_read_in_parts_and_grows(dtype, tmp_path):
    stored = build_model(TINY, random_tensors(TINY, 5), "new", dtype)
    save_model(stored, tmp_path / "read")
    grown, generator = dataclasses.replace(TINY, vocab_size=516), torch.Generator().manual_seed(7)
    tensors = {name: weight.detach().float() for name, weight in stored.named_parameters()}
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        noise = torch.randn(4, TINY.hidden_size, generator=generator) * 0.02
        tensors[name] = torch.cat([tensors[name], tensors[name].mean(dim=0) + noise])
    expected = build_model(grown, tensors.items(), "grown")
    for found in on_ranks(2, weights_on, ParallelConfig(), grown, tmp_path):
        assert_equal(found, expected)


@pytest.mark.parametrize("layout", [ParallelConfig(), ParallelConfig(tensor=2)], ids=["shard", "tensor"])
def test_an_adapter_begins_as_on_one_process(layout, tmp_path):
    lora = LoraConfig(rank=4)
    expected = build_model(TINY, random_tensors(TINY, 5), "new")
    add_lora(expected, lora, torch.Generator().manual_seed(3))
    for found in on_ranks(2, weights_on, layout, TINY, tmp_path, lora):
        assert_equal(found, expected)
