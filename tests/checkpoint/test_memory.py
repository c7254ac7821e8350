"""A model that is larger than the memory is refused before its weights are read."""

import json
from pathlib import Path

import pytest
import torch

from chaku import ChakuError
from chaku.checkpoint import memory
from chaku.checkpoint.config_json import config_to_json
from chaku.checkpoint.formats import load_model
from chaku.checkpoint.huggingface import save_model
from chaku.checkpoint.memory import check_memory, stays_mapped
from chaku.model import memory as model_memory
from chaku.model.config import PRESETS
from chaku.model.llama import Llama

SEVEN = PRESETS["7b"]


@pytest.fixture
def directory(tmp_path) -> Path:
    """A model directory stored in bfloat16, without its weights: nothing here reads them."""
    fields = config_to_json(SEVEN, "torch.bfloat16")
    (tmp_path / "config.json").write_text(json.dumps(fields))
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


def with_memory(monkeypatch, free: float, total: float) -> None:
    monkeypatch.setattr(model_memory, "available_memory", lambda: int(free * 1e9))
    monkeypatch.setattr(memory, "total_memory", lambda: int(total * 1e9))


def test_what_would_fit_is_said(directory, monkeypatch):
    with_memory(monkeypatch, free=20, total=24)
    with pytest.raises(ChakuError) as raised:
        check_memory(SEVEN, directory, torch.float32)
    assert str(raised.value) == (
        f"{directory}: 6.74B parameters as float32 need 27.0 GB of memory, but only 20.0 GB are free; "
        "this would fit: --quantize int8 (7.6 GB) or --quantize int4 (5.1 GB)"
    )
    check_memory(SEVEN, directory, torch.float32, scheme="int8")
    with_memory(monkeypatch, free=6, total=8)
    with pytest.raises(ChakuError, match=r"fit: --quantize int4 \(5\.1 GB\)$"):
        check_memory(SEVEN, directory, torch.float32)
    with_memory(monkeypatch, free=4, total=8)
    with pytest.raises(
        ChakuError, match=r"as int8 need 7\.6 GB .* 4\.0 GB are free; this would fit: qwen2\.5-coder-1\.5b-inst"
    ):
        check_memory(SEVEN, directory, torch.float32, scheme="int8")
    with_memory(monkeypatch, free=0.1, total=8)
    with pytest.raises(ChakuError, match=r"this would fit: no model of the catalogue$"):
        check_memory(SEVEN, directory, torch.float32)


def test_weights_that_stay_in_their_files_may_fill_all_of_the_memory(directory, monkeypatch):
    with_memory(monkeypatch, free=4, total=16)
    check_memory(SEVEN, directory, None)
    check_memory(SEVEN, directory, torch.bfloat16)
    with_memory(monkeypatch, free=4, total=12)
    with pytest.raises(ChakuError, match=r"as bfloat16 need 13\.5 GB of memory, but only 12\.0 GB exist"):
        check_memory(SEVEN, directory, None)
    with_memory(monkeypatch, free=4, total=16)
    with pytest.raises(ChakuError, match=r"as float16 need 13\.5 GB of memory, but only 4\.0 GB are free"):
        check_memory(SEVEN, directory, torch.float16)


def test_a_gpu_has_its_own_memory(directory, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(12e9), int(80e9)))
    with pytest.raises(ChakuError, match=r"need 13\.5 GB of memory, but only 12\.0 GB are free"):
        check_memory(SEVEN, directory, None, "cuda")
    check_memory(SEVEN, directory, None, "cuda", "int8")


def test_loading_looks_at_the_memory_first(tmp_path, monkeypatch):
    save_model(Llama(PRESETS["tiny"]), tmp_path)
    assert stays_mapped(tmp_path, None)
    assert stays_mapped(tmp_path, torch.float32)
    assert not stays_mapped(tmp_path, torch.bfloat16)
    load_model(tmp_path)
    with_memory(monkeypatch, free=0, total=0)
    (tmp_path / "model.safetensors").write_bytes(b"not read")
    with pytest.raises(ChakuError, match=r"of memory, but only .* exist"):
        load_model(tmp_path)
