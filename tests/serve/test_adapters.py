"""An adapter is a model by its own name."""

import pytest
import torch
from starlette.testclient import TestClient

from chaku.checkpoint.huggingface import save_model
from chaku.checkpoint.peft import save_adapter
from chaku.cli.serve import read_named
from chaku.errors import ChakuError
from chaku.inference.load import load_engine
from chaku.model.config import LoraConfig
from chaku.model.lora import add_lora, lora_layers
from chaku.serve.app import build_app
from chaku.serve.models import Served
from chaku.serve.service import Service


def test_requests_choose_an_adapter_by_name(engine, tmp_path, asked):
    save_model(engine.model, tmp_path / "base")
    engine.tokenizer.save(tmp_path / "base")
    other = load_engine(tmp_path / "base", device="cpu").model
    config = LoraConfig(rank=4, alpha=16.0, targets=("q_proj", "down_proj"))
    add_lora(other, config)
    for _, layer in lora_layers(other):
        torch.nn.init.normal_(layer.lora_B, std=0.5)
    save_adapter(other, config, tmp_path / "sql", "base")
    adapted = load_engine(tmp_path / "base", device="cpu", adapters={"sql": tmp_path / "sql"})
    with TestClient(build_app(Served(Service(adapted), "tiny"))) as client:
        assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["tiny", "sql"]
        texts = {}
        for name in ("tiny", "sql", "what the editor says"):
            body = {"model": name, "prompt": "def", "max_tokens": 12, "temperature": 0}
            answer = client.post("/v1/completions", json=body).json()
            assert answer["model"] == name
            texts[name] = answer["choices"][0]["text"]
        assert texts["tiny"] == texts["what the editor says"] != texts["sql"]
        for path, body in {
            "/infill": {"input_prefix": "def", "n_predict": 2},
            "/completion": {"prompt": "def", "n_predict": 2},
            "/v1/fim/completions": {"prompt": "def", "suffix": "", "max_tokens": 2},
            "/api/generate": {"prompt": "def", "options": {"num_predict": 2}},
        }.items():
            assert client.post(path, json=body | {"model": "sql"}).status_code == 200
            assert asked.pop().adapter == "sql"
            client.post(path, json=body | {"model": "other"})
            assert asked.pop().adapter is None
        assert [model["name"] for model in client.get("/api/tags").json()["models"]] == ["tiny", "sql"]


def test_named_values_are_read_and_others_refused():
    assert read_named(["a=b=c", "d=e"], "--db") == {"a": "b=c", "d": "e"}
    for wrong in (["a"], ["=b"], ["a="], ["a=b", "a=c"]):
        with pytest.raises(ChakuError, match="--db"):
            read_named(wrong, "--db")
