"""Meta's format against a small model written as Meta's released code computes: interleaved rotary pairs."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from chaku import ChakuError
from chaku.checkpoint.formats import load_model, open_checkpoint
from chaku.checkpoint.huggingface import named_tensors, save_model
from chaku.checkpoint.meta import read_meta, write_meta
from chaku.model.config import LlamaConfig, RopeScaling
from chaku.model.llama import Llama

CONFIG = LlamaConfig(96, 64, 192, 2, 8, 8, 16_384, rope_theta=1e6)
GROUPED = dataclasses.replace(CONFIG, num_key_value_heads=4, intermediate_size=200)


def meta_forward(weights: dict[str, Tensor], params: dict, ids: Tensor) -> Tensor:
    """Scores of (batch, seq) ids, from whole tensors under Meta's names."""
    heads, kv = params["n_heads"], params["n_kv_heads"]
    width = params["dim"] // heads
    seq = ids.shape[1]
    frequencies = 1.0 / params["rope_theta"] ** (torch.arange(0, width, 2).float() / width)
    turns = torch.polar(torch.ones(seq, width // 2), torch.outer(torch.arange(seq).float(), frequencies))

    def norm(x: Tensor, weight: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + params["norm_eps"]) * weight

    def turn(x: Tensor) -> Tensor:  # (batch, seq, heads, width)
        pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
        return torch.view_as_real(pairs * turns[None, :, None]).flatten(3)

    x = weights["tok_embeddings.weight"][ids]
    for layer in range(params["n_layers"]):
        w = {name.split(".", 2)[2]: value for name, value in weights.items() if name.startswith(f"layers.{layer}.")}
        h = norm(x, w["attention_norm.weight"])
        q = turn((h @ w["attention.wq.weight"].T).view(*ids.shape, heads, width))
        k = turn((h @ w["attention.wk.weight"].T).view(*ids.shape, kv, width)).repeat_interleave(heads // kv, 2)
        v = (h @ w["attention.wv.weight"].T).view(*ids.shape, kv, width).repeat_interleave(heads // kv, 2)
        scores = torch.einsum("bihd,bjhd->bhij", q, k) / width**0.5
        scores = scores.masked_fill(torch.ones(seq, seq).triu(1).bool(), -torch.inf).softmax(-1)
        x = x + torch.einsum("bhij,bjhd->bihd", scores, v).flatten(2) @ w["attention.wo.weight"].T
        h = norm(x, w["ffn_norm.weight"])
        gated = F.silu(h @ w["feed_forward.w1.weight"].T) * (h @ w["feed_forward.w3.weight"].T)
        x = x + gated @ w["feed_forward.w2.weight"].T
    return norm(x, weights["norm.weight"]) @ weights["output.weight"].T


def random_model(config: LlamaConfig) -> Llama:
    torch.manual_seed(5)
    model = Llama(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.mark.parametrize("config", [CONFIG, GROUPED], ids=["mha", "gqa"])
@pytest.mark.parametrize("num_shards", [1, 2, 4, 8])
def test_there_and_back(config, num_shards, tmp_path):
    model = random_model(config)
    ids = torch.randint(0, 96, (2, 80))
    if config.num_key_value_heads < num_shards:
        with pytest.raises(ChakuError, match="8 shards of these heads"):
            write_meta(config, named_tensors(model), tmp_path, num_shards)
        return
    write_meta(config, named_tensors(model), tmp_path, num_shards)
    assert len(list(tmp_path.glob("consolidated.*.pth"))) == num_shards
    params = json.loads((tmp_path / "params.json").read_text())
    again = load_model(tmp_path)
    assert again.config == config
    with torch.no_grad():
        torch.testing.assert_close(again(ids), model(ids), atol=0, rtol=0)
        if num_shards == 1:
            whole = torch.load(tmp_path / "consolidated.00.pth", weights_only=True)
            torch.testing.assert_close(meta_forward(whole, params, ids), model(ids), atol=1e-5, rtol=1e-5)


def test_shards_are_cut_as_model_parallelism_does(tmp_path):
    write_meta(CONFIG, named_tensors(random_model(CONFIG)), tmp_path, 2)
    shard = torch.load(tmp_path / "consolidated.01.pth", weights_only=True)
    shapes = {name.removeprefix("layers.1."): value.shape for name, value in shard.items()}
    assert shapes["tok_embeddings.weight"] == (96, 32)
    assert shapes["output.weight"] == (48, 64)
    assert shapes["attention.wq.weight"] == (32, 64)
    assert shapes["attention.wo.weight"] == (64, 32)
    assert shapes["feed_forward.w1.weight"] == (96, 64)
    assert shapes["feed_forward.w2.weight"] == (64, 96)
    assert shapes["norm.weight"] == (64,)
    # Llama 3 shares the embedding's rows instead.
    for number in (0, 1):
        path = tmp_path / f"consolidated.{number:02}.pth"
        part = torch.load(path, weights_only=True)
        whole = random_model(CONFIG).model.embed_tokens.weight.detach()
        part["tok_embeddings.weight"] = whole.chunk(2)[number].clone()
        torch.save(part, path)
    again = load_model(tmp_path)
    assert torch.equal(again.model.embed_tokens.weight, random_model(CONFIG).model.embed_tokens.weight)


def test_continue_in_hugging_face(tmp_path):
    import transformers

    model = random_model(GROUPED)
    write_meta(GROUPED, named_tensors(model), tmp_path / "meta", 4)
    loaded = load_model(tmp_path / "meta")
    loss = loaded(torch.arange(40)[None]).logsumexp(-1).mean()
    loss.backward()
    with torch.no_grad():
        for parameter in loaded.parameters():
            parameter -= 0.1 * parameter.grad
    save_model(loaded, tmp_path / "hf")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "hf", dtype=torch.float32).eval()
    ids = torch.randint(0, 96, (1, 50))
    with torch.no_grad():
        torch.testing.assert_close(theirs(ids).logits, loaded(ids), atol=1e-5, rtol=1e-5)
        assert not torch.allclose(loaded(ids), model(ids), atol=1e-3)


def _damage(directory: Path, how: str) -> None:
    path = directory / "consolidated.01.pth"
    if how == "missing":
        path.unlink()
        return
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-2000])
        return
    part = torch.load(path, weights_only=True)
    if how == "shape":
        part["layers.1.attention.wk.weight"] = part["layers.1.attention.wk.weight"][:-8].clone()
    else:
        del part["layers.0.ffn_norm.weight"]
    torch.save(part, path)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", r"shards are missing; found consolidated\.00\.pth, consolidated\.02"),
        ("truncated", r"consolidated\.01\.pth cannot be read .* truncated"),
        (
            "shape",
            r"consolidated\.01\.pth: layers\.1\.attention\.wk\.weight has shape \(8, 64\), but in .* \(16, 64\)",
        ),
        ("tensor", r"consolidated\.01\.pth lacks the tensor layers\.0\.ffn_norm\.weight"),
    ],
)
def test_damage_is_named(how, message, tmp_path):
    write_meta(CONFIG, named_tensors(random_model(CONFIG)), tmp_path, 4)
    if how == "missing":
        (tmp_path / "consolidated.03.pth").unlink()
        with pytest.raises(ChakuError, match="there are 3 of 4"):
            load_model(tmp_path)
    _damage(tmp_path, how)
    with pytest.raises(ChakuError, match=message):
        load_model(tmp_path)


def test_what_the_format_cannot_say(tmp_path):
    for change, message in (
        ({"attention_bias": True}, "cannot hold biases"),
        ({"head_dim": 16}, "a head_dim of its own"),
        ({"rope_scaling": RopeScaling("linear", 4.0)}, "this rotary scaling"),
        ({"model_type": "qwen2"}, "'qwen2' family"),
    ):
        config = dataclasses.replace(CONFIG, **change)
        with pytest.raises(ChakuError, match=message):
            write_meta(config, named_tensors(Llama(config)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_llama3_scaling_is_kept(tmp_path):
    scaled = dataclasses.replace(
        CONFIG,
        rope_theta=5e5,
        rope_scaling=RopeScaling("llama3", 32.0, 8192),
        max_position_embeddings=131_072,
        bos_token_id=128_000,
        eos_token_id=128_001,
    )
    write_meta(scaled, named_tensors(random_model(scaled)), tmp_path)
    config, _ = read_meta(tmp_path)
    assert config == scaled
    assert open_checkpoint(tmp_path).config.rope_scaling == RopeScaling("llama3", 32.0, 8192)


def test_the_shards_cannot_run_code(tmp_path):
    write_meta(CONFIG, named_tensors(random_model(CONFIG)), tmp_path)

    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"output.weight": Evil()}, tmp_path / "consolidated.00.pth")
    with pytest.raises(ChakuError, match="cannot be read"):
        load_model(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_hugging_face_directory_opens_the_same_way(tmp_path):
    model = random_model(CONFIG)
    save_model(model, tmp_path)
    (tmp_path / "params.json").write_text("{}")  # Mistral's releases have one too
    assert torch.equal(load_model(tmp_path).lm_head.weight, load_model(tmp_path).lm_head.weight)
