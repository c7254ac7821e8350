"""Adapters go to PEFT and come from it: equal logits; what we do not compute is refused by name."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny_models
from chaku import ChakuError
from chaku.checkpoint.formats import load_model
from chaku.checkpoint.huggingface import save_model
from chaku.checkpoint.peft import save_adapter
from chaku.checkpoint.peft_read import load_adapter
from chaku.model.config import LoraConfig
from chaku.model.lora import add_lora, lora_layers, merge_lora

IDS = torch.randint(0, 131, (2, 40), generator=torch.Generator().manual_seed(4))
CONFIGS = {
    "all": LoraConfig(rank=4, alpha=12, dropout=0.1),
    "rslora": LoraConfig(rank=9, alpha=5, targets=("q_proj", "v_proj"), rslora=True),
}


@torch.no_grad()
def randomise(model) -> None:
    """Give every A and B values that matter."""
    torch.manual_seed(8)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.normal_(std=0.1)


def ours_with(config: LoraConfig, directory):
    model = load_model(directory).eval()
    add_lora(model, config)
    randomise(model)
    return model


def theirs_with(name: str, **fields):
    import peft

    base = tiny_models.make(name)
    model = peft.get_peft_model(base, peft.LoraConfig(task_type="CAUSAL_LM", **fields)).eval()
    randomise(model)
    return model


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("name", ["llama-2", "qwen2"])
def test_peft_opens_ours(name, config, tmp_path):
    import peft

    theirs = tiny_models.make(name, tmp_path / "base")
    ours = ours_with(config, tmp_path / "base")
    save_adapter(ours, config, tmp_path / "adapter", str(tmp_path / "base"))
    with torch.no_grad():
        before = theirs(IDS).logits
        expected = ours(IDS)
        assert (expected - before).abs().max() > 0.01
        adapted = peft.PeftModel.from_pretrained(theirs, tmp_path / "adapter").eval()
        torch.testing.assert_close(adapted(IDS).logits, expected, atol=1e-5, rtol=1e-5)
        merge_lora(ours)
        torch.testing.assert_close(ours(IDS), adapted(IDS).logits, atol=1e-5, rtol=1e-5)
    again = load_model(tmp_path / "base").eval()
    assert load_adapter(again, tmp_path / "adapter").scale == config.scale
    with torch.no_grad():
        assert torch.equal(again(IDS), expected)


@pytest.mark.parametrize(
    "fields",
    [
        {"r": 4, "lora_alpha": 12, "target_modules": ["q_proj", "mlp.down_proj"], "lora_dropout": 0.2},
        {"r": 9, "lora_alpha": 5, "target_modules": "all-linear", "use_rslora": True, "init_lora_weights": "gaussian"},
        {"r": 4, "target_modules": r".*layers\.[02]\..*(q|up)_proj"},
    ],
    ids=["list", "all-linear", "expression"],
)
@pytest.mark.parametrize("name", ["llama-2", "qwen2"])
def test_we_open_theirs(name, fields, tmp_path):
    theirs = theirs_with(name, **fields)
    theirs.save_pretrained(tmp_path / "adapter")
    tiny_models.make(name, tmp_path / "base")
    ours = load_model(tmp_path / "base").eval()
    config = load_adapter(ours, tmp_path / "adapter")
    assert (config.rank, config.rslora) == (fields["r"], fields.get("use_rslora", False))
    with torch.no_grad():
        torch.testing.assert_close(ours(IDS), theirs(IDS).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "fields",
    [
        {
            "r": 4,
            "target_modules": ["q_proj", "v_proj"],
            "rank_pattern": {"q_proj": 8, r"layers\.1\.self_attn\.v_proj": 2},
        },
        {"r": 4, "target_modules": ["q_proj", "up_proj"], "alpha_pattern": {"up_proj": 64}, "use_rslora": True},
        {"r": 4, "target_modules": ["q_proj", "down_proj"], "layers_to_transform": [0, 2]},
        {"r": 4, "target_modules": ["q_proj"], "layers_to_transform": 1, "layers_pattern": "layers"},
        {"r": 4, "target_modules": "all-linear", "exclude_modules": ["k_proj", "layers.1.mlp.up_proj"]},
        {"r": 4, "target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
        {"r": 4, "target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "input_layernorm"]},
        {"r": 4, "target_modules": ["q_proj", "embed_tokens"]},
        {"r": 4, "target_modules": ["q_proj", "lm_head"]},
        {"r": 4, "target_modules": ["q_proj", "down_proj"], "use_dora": True},
    ],
    ids=lambda fields: list(fields)[-1] + str(list(fields.values())[-1]),
)
@pytest.mark.parametrize("name", ["llama-2", "qwen2", "smollm2"])
@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings")
def test_every_part_that_peft_adapts(name, fields, tmp_path):
    theirs = theirs_with(name, **fields)
    with torch.no_grad():
        for parameter_name, parameter in theirs.named_parameters():
            if "modules_to_save" in parameter_name or "magnitude" in parameter_name:
                parameter.mul_(1.5)
    theirs.save_pretrained(tmp_path / "adapter")
    tiny_models.make(name, tmp_path / "base")
    ours = load_model(tmp_path / "base").eval()
    with torch.no_grad():
        before = ours(IDS)
        load_adapter(ours, tmp_path / "adapter")
        expected = theirs(IDS).logits
        assert (expected - before).abs().max() > 0.01
        torch.testing.assert_close(ours(IDS), expected, atol=2e-5, rtol=1e-5)
        merge_lora(ours)
        torch.testing.assert_close(ours(IDS), expected, atol=2e-5, rtol=1e-5)
    save_model(ours, tmp_path / "merged")
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path / "merged")(IDS), expected, atol=2e-5, rtol=1e-5)


def test_we_open_their_bin_and_their_shorthand(tmp_path):
    theirs = theirs_with("llama-2", target_modules="all-linear")
    theirs.save_pretrained(tmp_path / "adapter", safe_serialization=False)
    assert not (tmp_path / "adapter" / "adapter_model.safetensors").exists()
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "target_modules": "all-linear"}))
    tiny_models.make("llama-2", tmp_path / "base")
    ours = load_model(tmp_path / "base").eval()
    load_adapter(ours, tmp_path / "adapter")
    with torch.no_grad():
        torch.testing.assert_close(ours(IDS), theirs(IDS).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"peft_type": "IA3"}, "adapter_config.json: peft_type is 'IA3'"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"use_dora": True}, r"lacks the tensor .*lora_magnitude_vector"),
        ({"modules_to_save": ["lm_head"]}, "lacks the tensor base_model.model.lm_head.weight"),
        ({"modules_to_save": ["score"]}, "modules_to_save names score, which the model does not have"),
        (
            {"rank_pattern": {"q_proj": 2}},
            r"lora_A\.weight has shape \(4, \d+\), but rank and model ask for \(2, \d+\)",
        ),
        ({"layers_to_transform": [1]}, r"has the tensor .*layers\.0\..*, which its configuration does not ask for"),
        ({"some_later_method": {"x": 1}}, "some_later_method is"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa'"),
        ({"target_modules": ["q_proj", "classifier"]}, "target classifier matches no layer"),
        ({"target_modules": "decoder.*"}, "'decoder.*' matches no projection"),
        ({"target_modules": "("}, "not a regular expression"),
        ({"target_modules": None}, "no targets"),
        ({"r": 3}, r"lora_A\.weight has shape \(4, \d+\), but rank and model ask for \(3, \d+\)"),
        ({"target_modules": ["q_proj"]}, r"has the tensor .*_proj\.lora_A\.weight, which"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_not_computed_is_refused_and_the_model_stays(change, message, tmp_path):
    tiny_models.make("llama-2", tmp_path / "base")
    config = CONFIGS["all"]
    save_adapter(ours_with(config, tmp_path / "base"), config, tmp_path, "base")
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    model = load_model(tmp_path / "base")
    with pytest.raises(ChakuError, match=message):
        load_adapter(model, tmp_path)
    assert not list(lora_layers(model))


def test_files_that_lack_something(tmp_path):
    tiny_models.make("llama-2", tmp_path / "base")
    config = CONFIGS["all"]
    with pytest.raises(ChakuError, match="no LoRA to save"):
        save_adapter(load_model(tmp_path / "base"), config, tmp_path, "base")
    save_adapter(ours_with(config, tmp_path / "base"), config, tmp_path, "base")
    weights = tmp_path / "adapter_model.safetensors"
    tensors = load_file(weights)
    tensors.pop("base_model.model.model.layers.1.mlp.up_proj.lora_B.weight")
    save_file(tensors, weights)
    model = load_model(tmp_path / "base")
    with pytest.raises(ChakuError, match=r"lacks the tensor .*layers\.1\.mlp\.up_proj\.lora_B"):
        load_adapter(model, tmp_path)
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ChakuError, match="truncated or damaged"):
        load_adapter(model, tmp_path)
    weights.unlink()
    with pytest.raises(ChakuError, match="has no weights: neither"):
        load_adapter(model, tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "target_modules": ["q_proj"]}')
    with pytest.raises(ChakuError, match="lacks the field 'r'"):
        load_adapter(model, tmp_path)


def test_weights_have_the_permissions_of_any_new_file(tmp_path):
    tiny_models.make("llama-2", tmp_path / "base")
    model = ours_with(CONFIGS["all"], tmp_path / "base")
    save_adapter(model, CONFIGS["all"], tmp_path / "adapter", "base")
    save_model(load_model(tmp_path / "base"), tmp_path / "model")
    (tmp_path / "any").touch()
    for weights in (tmp_path / "adapter" / "adapter_model.safetensors", tmp_path / "model" / "model.safetensors"):
        assert weights.stat().st_mode == (tmp_path / "any").stat().st_mode
