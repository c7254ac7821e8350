"""LoRA: nothing at first, trained alone, merged and taken out again."""

import pytest
import torch

from chaku import ChakuError
from chaku.model.config import PRESETS, LoraConfig
from chaku.model.llama import Llama
from chaku.model.lora import LoraLinear, add_lora, lora_layers, merge_lora, trainable_parameters
from chaku.training.step import training_step_loss

IDS = torch.randint(0, 512, (2, 32), generator=torch.Generator().manual_seed(1))


def make(config: LoraConfig | None = None, *, trained: bool = True) -> Llama:
    """The tiny model; `trained`: with a B that is not zero."""
    torch.manual_seed(5)
    model = Llama(PRESETS["tiny"])
    if config is not None:
        add_lora(model, config, torch.Generator().manual_seed(2))
        for _, layer in lora_layers(model):
            if trained:
                torch.nn.init.normal_(layer.lora_B, std=0.1)
    return model


@torch.no_grad()
def logits(model: Llama) -> torch.Tensor:
    return model.eval()(IDS)


def test_nothing_changes_at_first():
    assert torch.equal(logits(make()), logits(make(LoraConfig(), trained=False)))


def test_only_a_and_b_have_gradients():
    model = make(LoraConfig(targets=("q_proj", "down_proj")))
    training_step_loss(model, IDS).backward()
    with_gradient = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert with_gradient == {name for name, _ in trainable_parameters(model)}
    assert with_gradient == {
        f"model.layers.{layer}.{module}.lora_{matrix}"
        for layer in (0, 1)
        for module in ("self_attn.q_proj", "mlp.down_proj")
        for matrix in "AB"
    }


def test_the_same_generator_draws_the_same_a():
    first, second = make(LoraConfig()), make(LoraConfig())
    for (_, ours), (_, theirs) in zip(lora_layers(first), lora_layers(second), strict=True):
        assert torch.equal(ours.lora_A, theirs.lora_A)


@pytest.mark.parametrize("config", [LoraConfig(rank=4, alpha=8), LoraConfig(rank=9, alpha=6, rslora=True)], ids=str)
def test_merged_it_is_a_plain_model_that_gives_the_same(config):
    base, model = make(), make(config)
    expected = logits(model)
    assert (expected - logits(base)).abs().max() > 0.01
    merge_lora(model)
    assert [name for name, _ in model.named_parameters()] == [name for name, _ in base.named_parameters()]
    assert all(parameter.requires_grad for parameter in model.parameters())
    torch.testing.assert_close(logits(model), expected, atol=1e-5, rtol=1e-5)


def test_scale():
    assert LoraConfig(rank=16, alpha=32).scale == 2
    assert LoraConfig(rank=16, alpha=32, rslora=True).scale == 8
    layer = LoraLinear(torch.nn.Linear(6, 4), LoraConfig(rank=4, alpha=6, rslora=True))
    torch.nn.init.normal_(layer.lora_B)
    x = torch.randn(3, 6)
    torch.testing.assert_close(layer(x), layer.base(x) + 3 * (x @ layer.lora_A.T @ layer.lora_B.T))


def test_dropout_acts_in_training_only():
    model = make(LoraConfig(dropout=0.5))
    assert torch.equal(logits(model), logits(make(LoraConfig())))
    model.train()
    assert not torch.equal(model(IDS), model(IDS))
    base = make().eval()
    add_lora(base, LoraConfig(dropout=0.5))
    assert not any(module.training for module in base.modules())


def test_a_bfloat16_base_keeps_its_dtype_and_trains_float32_updates():
    model = make().to(torch.bfloat16)
    add_lora(model, LoraConfig())
    assert {parameter.dtype for _, parameter in trainable_parameters(model)} == {torch.float32}
    assert model(IDS).dtype == torch.bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        training_step_loss(model, IDS).backward()
    assert all(parameter.grad.isfinite().all() for _, parameter in trainable_parameters(model))
    merge_lora(model)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens", "query", "proj"])
def test_a_target_that_is_no_projection_is_refused_and_nothing_changes(target):
    model = make()
    with pytest.raises(ChakuError, match=f"target {target} matches no layer; choose from q_proj, k_proj"):
        add_lora(model, LoraConfig(targets=("q_proj", target)))
    assert not list(lora_layers(model))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_what_makes_no_sense_is_refused():
    for fields, message in (({"rank": 0}, "rank is 0"), ({"dropout": 1.0}, "dropout is"), ({"targets": ()}, "targets")):
        with pytest.raises(ChakuError, match=message):
            LoraConfig(**fields)
    with pytest.raises(ChakuError, match="has LoRA already"):
        add_lora(make(LoraConfig()), LoraConfig())
