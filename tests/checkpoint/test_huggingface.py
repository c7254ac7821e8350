"""Checkpoints round-trip, and every kind of damage is named."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from chaku import ChakuError
from chaku.checkpoint.formats import load_model
from chaku.checkpoint.huggingface import save_model
from chaku.model.config import PRESETS
from chaku.model.llama import Llama


@pytest.fixture
def checkpoint(tmp_path):
    save_model(Llama(PRESETS["tiny"]), tmp_path)
    return tmp_path


def test_round_trip(checkpoint):
    model = load_model(checkpoint)
    save_model(model, checkpoint)
    again = load_model(checkpoint)
    assert again.config == PRESETS["tiny"]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])


def test_truncated(checkpoint):
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ChakuError, match="truncated"):
        load_model(checkpoint)


def test_shape_that_does_not_fit(checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    config["intermediate_size"] += 32
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(ChakuError, match=r"layers\.0\.mlp\.\w+\.weight has shape .* configuration of the same model"):
        load_model(checkpoint)


def test_missing_layer(checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    config["num_hidden_layers"] += 1
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(ChakuError, match=r"lacks the tensor model\.layers\.2"):
        load_model(checkpoint)


def test_other_architecture_and_no_checkpoint(checkpoint, tmp_path):
    (checkpoint / "config.json").write_text('{"model_type": "mamba"}')
    with pytest.raises(ChakuError, match="mamba"):
        load_model(checkpoint)
    with pytest.raises(ChakuError, match=r"there is no model .*nowhere, neither as a path"):
        load_model(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ChakuError, match="not a checkpoint"):
        load_model(tmp_path / "empty")


def edit(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_what_ends_a_text_is_read_from_the_generation_config(checkpoint):
    edit(checkpoint / "generation_config.json", eos_token_id=[2, 7])
    model = load_model(checkpoint)
    assert model.config.eos_token_ids == (2, 7)
    save_model(model, checkpoint)
    for name in ("config.json", "generation_config.json"):
        assert json.loads((checkpoint / name).read_text())["eos_token_id"] == [2, 7]
    (checkpoint / "generation_config.json").unlink()
    edit(checkpoint / "config.json", eos_token_id=5)
    assert load_model(checkpoint).config.eos_token_ids == (5,)


def test_a_stored_output_unlike_the_tied_embedding_is_used_and_that_is_said(checkpoint, capsys):
    import transformers

    edit(checkpoint / "config.json", tie_word_embeddings=True)
    stored = load_file(checkpoint / "model.safetensors")
    model = load_model(checkpoint).eval()
    assert "another lm_head is stored: chaku uses the latter" in capsys.readouterr().err
    assert torch.equal(model.lm_head.weight, stored["lm_head.weight"])
    theirs = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    ids = torch.tensor([[1, 40, 50, 60]])
    with torch.no_grad():
        torch.testing.assert_close(model(ids), theirs(ids).logits, atol=1e-5, rtol=1e-5)
    save_file(
        {**stored, "lm_head.weight": stored["model.embed_tokens.weight"].clone()}, checkpoint / "model.safetensors"
    )
    capsys.readouterr()
    assert load_model(checkpoint).config.tie_word_embeddings  # a copy of the embedding is no other output
    assert capsys.readouterr().err == ""


def test_names_without_their_beginning_are_read(checkpoint):
    """A base model (LlamaModel) is saved so."""
    model = load_model(checkpoint)
    stored = load_file(checkpoint / "model.safetensors")
    bare = {name.removeprefix("model."): tensor for name, tensor in stored.items()}
    save_file(bare, checkpoint / "model.safetensors")
    again = load_model(checkpoint)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    del bare["lm_head.weight"]
    save_file(bare, checkpoint / "model.safetensors")
    with pytest.raises(ChakuError, match="has no lm_head: a model without its output"):
        load_model(checkpoint)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_pointer_in_place_of_a_file_says_what_to_do(checkpoint, name):
    (checkpoint / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    with pytest.raises(ChakuError, match=rf"{name} is a Git LFS pointer, not the file itself: run git lfs pull in"):
        load_model(checkpoint)


def test_dynamic_rotary_scaling_changes_nothing_within_the_context(checkpoint):
    import transformers

    edit(checkpoint / "config.json", rope_scaling={"rope_type": "dynamic", "factor": 4.0})
    theirs = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    ids = torch.arange(3, 67)[None]  # as long as the context
    with torch.no_grad():
        torch.testing.assert_close(load_model(checkpoint)(ids), theirs(ids).logits, atol=1e-5, rtol=1e-5)
