"""The decoder for training on a CPU computes what the plain decoder computes, and its gradients."""

import dataclasses

import pytest
import torch

from chaku.model import fused as fused_module
from chaku.model.config import PRESETS, LoraConfig
from chaku.model.fused import can_fuse, fused_states
from chaku.model.layout import shared_beginnings, whole_rows
from chaku.model.llama import Llama
from chaku.model.lora import add_lora, lora_layers, merge_lora
from chaku.model.quantization import quantize

SHAPE = dataclasses.replace(PRESETS["tiny"], attention_bias=True, mlp_bias=True)
TOKENS = torch.randint(0, 512, (2, 24), generator=torch.Generator().manual_seed(1))
TOKENS[1, :9] = TOKENS[0, :9]
DOCUMENTS = torch.tensor([[0] * 12 + [1] * 9 + [2] * 3, [0] * 15 + [1] * 5 + [-1] * 4])
WEIGHT = torch.randn(2, 24, 64, generator=torch.Generator().manual_seed(2))


def make(lora: LoraConfig | None = None, dtype: torch.dtype = torch.float64) -> Llama:
    """A tiny model with biases, and with an update that is not zero."""
    torch.manual_seed(5)
    model = Llama(SHAPE)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)
    model.to(dtype)
    if lora is not None:
        add_lora(model, lora)
        for _, layer in lora_layers(model):
            torch.nn.init.normal_(layer.lora_B, std=0.1)
            layer.to(dtype)
    return model


def states_and_gradients(model, documents, *, fused):
    """The states of every real token, and the gradients of a weighted sum of them, by parameter."""
    model.zero_grad()
    real = torch.ones_like(TOKENS, dtype=torch.bool) if documents is None else documents >= 0
    if fused:
        layout = whole_rows(TOKENS) if documents is None else shared_beginnings(TOKENS, documents)
        states = fused_states(model, layout, layout.places[real])
    else:
        states = model.forward_hidden(TOKENS, document_ids=documents)[real]
    (states * WEIGHT[real]).sum().backward()
    return states.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


MODELS = {
    "all weights": None,
    "lora": LoraConfig(rank=4),
    "lora on some": LoraConfig(rank=4, targets=("q_proj", "v_proj", "o_proj", "up_proj")),
    "lora on one layer": LoraConfig(rank=4, alpha=3, rslora=True, targets=("layers.1.mlp.down_proj",)),
}


@pytest.mark.parametrize("documents", [None, DOCUMENTS], ids=["rows", "documents"])
@pytest.mark.parametrize("lora", MODELS.values(), ids=MODELS.keys())
def test_states_and_gradients_are_those_of_the_plain_decoder(lora, documents, monkeypatch):
    monkeypatch.setattr(fused_module, "ROWS", 7)  # several parts, the last one short
    model = make(lora)
    expected, gradients = states_and_gradients(model, documents, fused=False)
    found, own = states_and_gradients(model, documents, fused=True)
    # The plain decoder computes rotary angles, updates and norms in float32.
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=2e-6)
    assert own.keys() == gradients.keys()
    for name in own:
        assert (own[name] - gradients[name]).norm() <= 3e-6 * gradients[name].norm(), name


def test_gradients_are_those_of_finite_differences(monkeypatch):
    monkeypatch.setattr(fused_module, "ROWS", 7)
    model = make(LoraConfig(rank=2))
    layout = shared_beginnings(TOKENS[:, :8], DOCUMENTS[:, :8])
    layer = model.model.layers[0]
    block = torch.nn.ModuleList([layer.self_attn, layer.mlp])
    trained = [p for p in block.parameters() if p.requires_grad]

    def loss(*_: torch.Tensor) -> torch.Tensor:
        return fused_states(model, layout)[::3, ::7]

    assert torch.autograd.gradcheck(loss, trained, fast_mode=True)


@pytest.mark.parametrize("lora", [None, LoraConfig(rank=4)], ids=["all weights", "lora"])
def test_under_autocast_it_differs_by_the_rounding_of_16_bits(lora):
    model = make(lora, torch.float32)
    exact, gradients = states_and_gradients(model, DOCUMENTS, fused=False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plain, plain_gradients = states_and_gradients(model, DOCUMENTS, fused=False)
        found, own = states_and_gradients(model, DOCUMENTS, fused=True)
    assert found.dtype == plain.dtype
    assert (found - exact).norm() < 1.2 * (plain - exact).norm()
    for name, gradient in gradients.items():
        assert own[name].dtype == torch.float32
        error, plain_error = (own[name] - gradient).norm(), (plain_gradients[name] - gradient).norm()
        assert error < 1.5 * plain_error + 1e-3 * gradient.norm(), name


def test_a_changed_weight_is_seen_though_16_bit_copies_are_kept():
    model = make(LoraConfig(rank=4), torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        before, _ = states_and_gradients(model, DOCUMENTS, fused=True)
        with torch.no_grad():
            model.model.layers[0].self_attn.k_proj.base.weight.mul_(3)
        after, _ = states_and_gradients(model, DOCUMENTS, fused=True)
        expected, _ = states_and_gradients(model, DOCUMENTS, fused=False)
    assert (before - after).norm() > 10 * (after - expected).norm()


def test_a_merged_update_counts_once():
    model = make(LoraConfig(rank=4), torch.float32)
    layout = whole_rows(TOKENS)
    with torch.no_grad():
        expected = fused_states(model, layout)
        merge_lora(model)
        torch.testing.assert_close(fused_states(model, layout), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("scheme", ["nf4", "int8"])
def test_a_quantised_base_is_unpacked_for_its_products(scheme):
    pytest.importorskip("torchao")
    model = make(dtype=torch.float32)
    quantize(model, scheme)
    add_lora(model, LoraConfig(rank=4))
    for _, layer in lora_layers(model):
        torch.nn.init.normal_(layer.lora_B, std=0.1)
    expected, gradients = states_and_gradients(model, DOCUMENTS, fused=False)
    found, own = states_and_gradients(model, DOCUMENTS, fused=True)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert own.keys() == gradients.keys()
    for name in own:
        assert (own[name] - gradients[name]).norm() <= 1e-4 * gradients[name].norm(), name


def test_only_wanted_rows_are_returned_in_their_order():
    model = make(LoraConfig(rank=4))
    layout = shared_beginnings(TOKENS, DOCUMENTS)
    wanted = torch.tensor([7, 3, 3])
    with torch.no_grad():
        torch.testing.assert_close(fused_states(model, layout, wanted), fused_states(model, layout)[wanted])


def test_what_it_does_not_compute_is_left_to_the_plain_decoder():
    assert can_fuse(make(), 8)
    dropping = make(LoraConfig(dropout=0.1))
    assert not can_fuse(dropping, 8)
    assert can_fuse(dropping.eval(), 8)
    windowed = Llama(dataclasses.replace(PRESETS["tiny"], model_type="mistral", sliding_window=8))
    assert can_fuse(windowed, 8)
    assert not can_fuse(windowed, 9)
    assert not can_fuse(make().to("meta"), 8)
