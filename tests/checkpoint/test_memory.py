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
from chaku.checkpoint.memory import available_memory, check_memory, stays_mapped, weights_bytes
from chaku.model import PRESETS, Llama

SEVEN = PRESETS["7b"]


@pytest.fixture
def directory(tmp_path) -> Path:
    """A model directory stored in bfloat16, without its weights: nothing here reads them."""
    fields = config_to_json(SEVEN, "torch.bfloat16")
    (tmp_path / "config.json").write_text(json.dumps(fields))
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


def with_memory(monkeypatch, free: float, total: float) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: int(free * 1e9))
    monkeypatch.setattr(memory, "total_memory", lambda: int(total * 1e9))


def test_what_would_fit_is_said(directory, monkeypatch):
    with_memory(monkeypatch, free=20, total=24)
    with pytest.raises(ChakuError) as raised:
        check_memory(SEVEN, directory, torch.float32)
    assert str(raised.value) == (
        f"{directory}: 6.74B parameters as float32 need 27.0 GB of memory, and free are 20.0 GB; "
        "what would fit: --quantize int8 (7.6 GB) or --quantize int4 (5.1 GB)"
    )
    check_memory(SEVEN, directory, torch.float32, scheme="int8")
    with_memory(monkeypatch, free=6, total=8)
    with pytest.raises(ChakuError, match=r"fit: --quantize int4 \(5\.1 GB\)$"):
        check_memory(SEVEN, directory, torch.float32)
    with_memory(monkeypatch, free=4, total=8)
    with pytest.raises(ChakuError, match=r"as int8 need 7\.6 GB .* 4\.0 GB; what would fit: qwen2\.5-coder-1\.5b-inst"):
        check_memory(SEVEN, directory, torch.float32, scheme="int8")
    with_memory(monkeypatch, free=0.1, total=8)
    with pytest.raises(ChakuError, match=r"what would fit: no model of the catalogue$"):
        check_memory(SEVEN, directory, torch.float32)


def test_weights_that_stay_in_their_files_may_fill_all_of_the_memory(directory, monkeypatch):
    with_memory(monkeypatch, free=4, total=16)
    check_memory(SEVEN, directory, None)
    check_memory(SEVEN, directory, torch.bfloat16)
    with_memory(monkeypatch, free=4, total=12)
    with pytest.raises(ChakuError, match=r"as bfloat16 need 13\.5 GB of memory, and all of it is 12\.0 GB"):
        check_memory(SEVEN, directory, None)
    with_memory(monkeypatch, free=4, total=16)
    with pytest.raises(ChakuError, match=r"as float16 need 13\.5 GB of memory, and free are 4\.0 GB"):
        check_memory(SEVEN, directory, torch.float16)


def test_a_gpu_has_its_own_memory(directory, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(12e9), int(80e9)))
    with pytest.raises(ChakuError, match=r"need 13\.5 GB of memory, and free are 12\.0 GB"):
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
    with pytest.raises(ChakuError, match="of memory, and all of it is"):
        load_model(tmp_path)


@pytest.mark.parametrize(("dtype", "scheme"), [(torch.float32, None), (torch.bfloat16, None)])
def test_the_bytes_are_those_of_the_weights(dtype, scheme):
    model = Llama(PRESETS["tiny"]).to(dtype)
    assert weights_bytes(PRESETS["tiny"], dtype) == sum(parameter.nbytes for parameter in model.parameters())


@pytest.mark.parametrize("version", [1, 2])
def test_the_limits_of_control_groups_count(tmp_path, monkeypatch, version):
    """The limit stands on the group above; what the page cache holds can be dropped, and is not used."""
    controllers, folder, prefix, names = (
        ("", tmp_path, "", ("memory.max", "memory.current"))
        if version == 2
        else ("cpu,memory", tmp_path / "memory", "total_", ("memory.limit_in_bytes", "memory.usage_in_bytes"))
    )
    (folder / "box" / "job").mkdir(parents=True)
    (folder / "box" / names[0]).write_text("8000000\n")
    (folder / "box" / names[1]).write_text("5000000\n")
    (folder / "box" / "memory.stat").write_text(f"{prefix}active_file 1000000\n{prefix}inactive_file 2500000\n")
    (folder / "box" / "job" / names[0]).write_text("max\n")
    (tmp_path / "own").write_text(f"9:pids:/box/job\n4:{controllers}:/box/job\n")
    limits = memory._group_limits(tmp_path / "own", tmp_path)
    assert limits == [(8_000_000, 1_500_000)]
    monkeypatch.setattr(memory, "_group_limits", lambda: limits)
    (tmp_path / "meminfo").write_text("MemTotal: 16000 kB\nMemAvailable:    12000 kB\n")
    assert available_memory(tmp_path / "meminfo") == 6_500_000
    monkeypatch.setattr(memory, "_group_limits", list)
    assert available_memory(tmp_path / "meminfo") == 12_000 * 1024
