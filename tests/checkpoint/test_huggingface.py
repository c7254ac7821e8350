"""Checkpoints round-trip, and every kind of damage is named."""

import json

import pytest
import torch

from chaku import ChakuError
from chaku.checkpoint.formats import load_model
from chaku.checkpoint.huggingface import save_model
from chaku.model import PRESETS, Llama


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
    with pytest.raises(ChakuError, match=r"layers\.0\.mlp\.\w+\.weight has shape .* do not belong together"):
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
    with pytest.raises(ChakuError, match="nowhere does not exist"):
        load_model(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ChakuError, match="not a checkpoint"):
        load_model(tmp_path / "empty")
