"""Every family: transformers' logits and greedy tokens, from their files and back from ours."""

import json
from pathlib import Path

import pytest
import torch

import tiny_models
from chaku import ChakuError
from chaku.checkpoint.formats import load_model
from chaku.checkpoint.huggingface import save_model
from chaku.model.kv_cache import BlockStep, BlockStore
from chaku.model.llama import Llama
from chaku.training.config import TrainingConfig
from chaku.training.optimizers import make_optimizer
from chaku.training.step import optimizer_step, training_step_loss


def greedy(model: Llama, prompt: torch.Tensor, number: int) -> list[int]:
    """`number` tokens through the key-value cache, (1, seq) -> list."""
    store = BlockStore(model.config, 8, 16, torch.float32, "cpu")
    written: list[int] = []
    ids = prompt
    with torch.no_grad():
        for _ in range(number):
            past = 0 if ids is prompt else prompt.shape[1] + len(written) - 1
            cache = BlockStep(store, [past], [ids.shape[1]], [[2, 0, 3, 1, 6, 7, 5, 4]])
            scores = model(ids, cache=cache)[:, -1]
            ids = scores.argmax(-1, keepdim=True)
            written.append(int(ids))
    return written


def their_greedy(model, prompt: torch.Tensor, number: int) -> list[int]:
    ids = prompt
    with torch.no_grad():
        for _ in range(number):
            ids = torch.cat((ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)), dim=1)
    return ids[0, prompt.shape[1] :].tolist()


@pytest.mark.parametrize("name", tiny_models.FAMILIES)
def test_logits_and_greedy_tokens_equal_there_and_back(name, tmp_path):
    import transformers

    theirs = tiny_models.make(name, tmp_path / "theirs")
    ours = load_model(tmp_path / "theirs").eval()
    generator = torch.Generator().manual_seed(3)
    # Twice the trained length: scaled frequencies and windows matter most there.
    ids = torch.randint(0, ours.config.vocab_size, (2, 128), generator=generator)
    with torch.no_grad():
        expected = theirs(ids).logits
        torch.testing.assert_close(ours(ids), expected, atol=1e-5, rtol=1e-5)
    assert greedy(ours, ids[:1, :40], 64) == their_greedy(theirs, ids[:1, :40], 64)
    save_model(ours, tmp_path / "ours")
    config = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert config["rope_theta"] == tiny_models.FAMILIES[name][2]["rope_theta"]
    back = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "ours", dtype=torch.float32, attn_implementation="eager"
    )
    assert type(back) is type(theirs)
    with torch.no_grad():
        torch.testing.assert_close(back.eval()(ids).logits, expected, atol=1e-5, rtol=1e-5)
    assert load_model(tmp_path / "ours").config == ours.config
    assert ours.config.num_parameters == sum(parameter.numel() for parameter in ours.parameters())


@pytest.mark.parametrize("name", tiny_models.FAMILIES)
def test_trained_further_it_opens_in_transformers(name, tmp_path):
    import transformers

    theirs = tiny_models.make(name, tmp_path / "theirs")
    ours = load_model(tmp_path / "theirs")
    ids = torch.randint(0, ours.config.vocab_size, (2, 100), generator=torch.Generator().manual_seed(4))
    optimizer = make_optimizer(ours, TrainingConfig())
    for _ in range(2):
        training_step_loss(ours, ids).backward()
        optimizer_step(ours, optimizer, 1e-2, 1.0)
    save_model(ours, tmp_path / "ours")
    back = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "ours", dtype=torch.float32, attn_implementation="eager"
    )
    with torch.no_grad():
        trained = back.eval()(ids).logits
        torch.testing.assert_close(trained, ours.eval()(ids), atol=1e-5, rtol=1e-5)
        assert (trained - theirs(ids).logits).abs().max() > 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt_bigcode"}, "'gpt_bigcode' is not one that chaku knows"),
        ({"model_type": "granite"}, "'granite' is not one that chaku knows"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ({"quantization_config": {"quant_method": "gptq"}}, r"quantised \(gptq\)"),
        ({"rope_scaling": {"rope_type": "made-up", "factor": 2.0}}, "'made-up' is not supported"),
        ({"rope_scaling": {"rope_type": "longrope", "factor": 2.0}}, "the same factors for short and long texts"),
        ({"rope_scaling": {**tiny_models.LONGROPE, "long_factor": [2.0] * 8}}, "the same factors for short and long"),
        ({"head_dim": 32, "rope_scaling": tiny_models.LONGROPE}, "has 8 factors, but a head has 16 pairs"),
        ({"model_type": "qwen2", "use_sliding_window": True}, "use_sliding_window"),
    ],
)
def test_what_is_not_known_is_refused_before_a_weight_is_read(change, message, tmp_path):
    fields = {**tiny_models.TINY, "model_type": "llama", **change}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    (tmp_path / "model.safetensors").write_bytes(b"not read")
    with pytest.raises(ChakuError, match=message):
        load_model(tmp_path)


def _as_bin(directory: Path, shards: int) -> None:
    """Rewrite the checkpoint's weights as PyTorch files."""
    from safetensors.torch import load_file

    tensors = load_file(directory / "model.safetensors")
    (directory / "model.safetensors").unlink()
    names = sorted(tensors)
    if shards == 1:
        torch.save(tensors, directory / "pytorch_model.bin")
        return
    weight_map = {}
    for shard in range(shards):
        file = f"pytorch_model-{shard + 1:05}-of-{shards:05}.bin"
        part = {name: tensors[name] for name in names[shard::shards]}
        torch.save(part, directory / file)
        weight_map |= dict.fromkeys(part, file)
    (directory / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


@pytest.mark.parametrize("shards", [1, 3])
def test_bin_files(shards, tmp_path):
    theirs = tiny_models.make("llama-2", tmp_path)
    _as_bin(tmp_path, shards)
    ids = torch.arange(30)[None]
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path)(ids), theirs(ids).logits, atol=1e-5, rtol=1e-5)
    if shards > 1:
        (tmp_path / "pytorch_model-00002-of-00003.bin").unlink()
        with pytest.raises(ChakuError, match=r"names pytorch_model-00002-of-00003\.bin, which .* lacks"):
            load_model(tmp_path)


def test_a_bin_file_cannot_run_code(tmp_path):
    tiny_models.make("llama-2", tmp_path)
    (tmp_path / "model.safetensors").unlink()

    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"x": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ChakuError, match="cannot be read"):
        load_model(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_shards_out_and_in(tmp_path):
    import transformers

    theirs = tiny_models.make("code-llama", tmp_path)
    model = load_model(tmp_path)
    save_model(model, tmp_path, max_shard_bytes=100_000)
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 3
    assert not (tmp_path / "model.safetensors").exists()
    ids = torch.arange(30)[None]
    with torch.no_grad():
        expected = theirs(ids).logits
        torch.testing.assert_close(load_model(tmp_path)(ids), expected, atol=1e-5, rtol=1e-5)
        back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
        torch.testing.assert_close(back(ids).logits, expected, atol=1e-5, rtol=1e-5)
    shards[1].unlink()
    with pytest.raises(ChakuError, match="lacks: copy the rest"):
        load_model(tmp_path)
    save_model(model, tmp_path)
    assert [path.name for path in tmp_path.glob("model*")] == ["model.safetensors"]


def test_dtype_is_kept_or_changed(tmp_path):
    tiny_models.make("llama-2").to(torch.bfloat16).save_pretrained(tmp_path)
    assert load_model(tmp_path).lm_head.weight.dtype == torch.float32
    kept = load_model(tmp_path, dtype=None)
    assert kept.lm_head.weight.dtype == torch.bfloat16
    before = (tmp_path / "model.safetensors").read_bytes()
    with torch.no_grad():
        kept.lm_head.weight.zero_()  # the map is private: the file stays
    assert (tmp_path / "model.safetensors").read_bytes() == before
