"""Quantised projections: close logits, less memory, a frozen base to train on."""

import dataclasses
import sys

import pytest
import torch
import torch.nn.functional as F

from chaku import ChakuError
from chaku.checkpoint.huggingface import build_model, load_config, save_model
from chaku.checkpoint.weights import read_tensors, weight_files
from chaku.model.config import PRESETS, PROJECTIONS, LlamaConfig, LoraConfig
from chaku.model.llama import Llama
from chaku.model.lora import add_lora, lora_layers, merge_lora, trainable_parameters
from chaku.model.quantization import (
    SCHEMES,
    dense,
    is_quantizable,
    is_quantized,
    quantize,
    quantize_tensor,
    quantize_tensors,
    weights_bytes,
)
from chaku.training.config import TrainingConfig
from chaku.training.optimizers import make_optimizer
from chaku.training.step import optimizer_step, training_step_loss

IDS = torch.randint(0, 512, (2, 32), generator=torch.Generator().manual_seed(1))
BITS = {"int8": 8.25, "int4": 6.0, "nf4": 4.25}  # at most, a projection's weight in rows of 64, its scales included


def make() -> Llama:
    """With weights larger than the usual initialisation, and biases, so that both matter."""
    torch.manual_seed(5)
    model = Llama(dataclasses.replace(PRESETS["tiny"], attention_bias=True, mlp_bias=True))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3) if parameter.ndim > 1 else parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


@torch.no_grad()
def distribution(model: Llama) -> torch.Tensor:
    return F.log_softmax(model(IDS).float(), dim=-1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("scheme", "divergence"), [("int8", 1e-3), ("int4", 0.05), ("nf4", 0.05)])
def test_quantised_logits_are_close_and_smaller(scheme, divergence, dtype):
    model = make().to(dtype)
    expected, full = distribution(model), weights_bytes(model)
    projections = sum(p.numel() for name, p in model.named_parameters() if is_quantizable(name))
    quantize(model, scheme)
    found = distribution(model)
    assert not torch.equal(found, expected)
    assert F.kl_div(found, expected, log_target=True, reduction="none").sum(-1).mean() < divergence
    packed = {name for name, parameter in model.named_parameters() if is_quantized(parameter)}
    assert packed == {f"{name}.weight" for name, _ in model.named_modules() if name.split(".")[-1] in PROJECTIONS}
    rest = full - projections * dtype.itemsize
    rows = 16 * sum(p.shape[0] for name, p in model.named_parameters() if is_quantizable(name))  # bytes of int8 scales
    assert projections / 2 + rest < weights_bytes(model) <= projections * BITS[scheme] / 8 + rest + rows


@pytest.mark.parametrize(("scheme", "error"), [("int8", 0.5 / 127), ("nf4", 0.16)])
def test_round_trip_error_is_bounded_by_half_the_widest_step(scheme, error):
    """Of a weight, relative to the largest that shares its scale; NF4's widest gap is 0.304, its scales have 8 bits."""
    weight = torch.randn(256, 128, generator=torch.Generator().manual_seed(3))
    packed = quantize_tensor("w", weight, scheme)
    assert not packed.requires_grad
    blocks = weight.view(-1, 64) if scheme == "nf4" else weight
    largest = blocks.abs().amax(dim=1, keepdim=True)
    assert ((dense(packed).view_as(blocks) - blocks).abs() <= error * 1.01 * largest).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_quantised_while_loading(scheme, tmp_path):
    save_model(make(), tmp_path)
    tensors = read_tensors(weight_files(tmp_path))
    streamed = build_model(load_config(tmp_path), quantize_tensors(tensors, scheme), tmp_path)
    model = make()
    quantize(model, scheme)
    assert torch.equal(distribution(streamed), distribution(model))
    assert weights_bytes(streamed) == weights_bytes(model)


def test_under_lora_the_base_is_quantised():
    model, plain = make(), make()
    add_lora(model, LoraConfig())
    quantize(model, "int8")
    quantize(plain, "int8")
    assert torch.equal(distribution(model), distribution(plain))
    assert len(trainable_parameters(model)) == 2 * 7 * 2


def test_tied_weights_count_once():
    config = LlamaConfig(64, 32, 96, 1, 2, 1, 128, tie_word_embeddings=True)
    assert weights_bytes(Llama(config)) == 4 * config.num_parameters


@pytest.mark.parametrize("scheme", ["int8", "nf4"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "autocast"])
def test_lora_trains_on_a_frozen_quantised_base(scheme, precision):
    model = make().to(torch.bfloat16 if precision == "bfloat16" else torch.float32)
    quantize(model, scheme)
    before = {name: dense(p).clone() for name, p in model.named_parameters()}
    add_lora(model, LoraConfig(rank=4, alpha=8), torch.Generator().manual_seed(2))
    optimizer = make_optimizer(model, TrainingConfig())
    losses = []
    for _ in range(12):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "autocast"):
            loss = training_step_loss(model, IDS)
        loss.backward()
        optimizer_step(model, optimizer, 1e-2, 1.0)
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
    assert all(name.endswith(("lora_A", "lora_B")) for name, _ in trainable_parameters(model))
    for name, parameter in model.named_parameters():
        if not name.endswith(("lora_A", "lora_B")):
            assert torch.equal(dense(parameter), before[name.replace(".base.", ".")])


def test_lora_merges_into_a_quantised_base_that_becomes_dense():
    model = make()
    quantize(model, "nf4")
    add_lora(model, LoraConfig())
    for _, layer in lora_layers(model):
        torch.nn.init.normal_(layer.lora_B, std=0.1)
    expected = distribution(model)
    merge_lora(model)
    assert not any(is_quantized(parameter) for parameter in model.parameters())
    torch.testing.assert_close(distribution(model), expected, atol=1e-5, rtol=1e-5)


def test_what_cannot_be_done_is_refused():
    model = make()
    quantize(model, "int4")
    with pytest.raises(ChakuError, match=r"layers\.0\.self_attn\.q_proj\.weight is quantised already"):
        quantize(model, "int8")
    add_lora(model, LoraConfig())
    with pytest.raises(ChakuError, match="int4 weights cannot be unpacked"):
        merge_lora(model)
    with pytest.raises(ChakuError, match=r"multiple of 32 weights; w has \(64, 48\)"):
        quantize_tensor("w", torch.zeros(64, 48), "int4")
    with pytest.raises(ChakuError, match=r"multiple of 64 weights; w has \(5, 5\)"):
        quantize_tensor("w", torch.zeros(5, 5), "nf4")
    with pytest.raises(ChakuError, match="int4 needs a CPU, or an NVIDIA GPU"):
        quantize_tensor("w", torch.zeros(64, 64, device="meta"), "int4")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_torchao_is_named_when_it_is_missing(scheme, monkeypatch):
    for name in ("torchao", "torchao.quantization", "torchao.prototype.quantization.int4"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ChakuError, match=r"pip install -U 'chaku\[quantization\]'"):
        quantize(make(), scheme)
