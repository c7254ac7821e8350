"""A model larger than the memory is said before it is loaded, with what would fit."""

import pytest
import torch

from chaku.checkpoint.formats import load_model
from chaku.checkpoint.huggingface import save_model
from chaku.errors import ChakuError
from chaku.model import PRESETS, Llama, memory
from chaku.model.memory import check_fits, model_memory, num_projection_weights
from chaku.model.quantization import PROJECTIONS, is_quantizable, quantize, weights_bytes


@pytest.mark.parametrize("name", ["tiny", "mini", "demo"])
def test_the_size_of_a_model_is_that_of_its_tensors(name: str) -> None:
    model = Llama(PRESETS[name])
    assert model_memory(model.config) == weights_bytes(model)
    assert model_memory(model.config, torch.bfloat16) == weights_bytes(model) // 2
    projections = sum(weight.numel() for name, weight in model.named_parameters() if is_quantizable(name))
    assert num_projection_weights(model.config) == projections
    assert len(memory.projection_shapes(model.config)) == len(PROJECTIONS)


@pytest.mark.parametrize("scheme", ["int8", "int4", "nf4"])
def test_the_size_of_a_quantised_model(scheme: str) -> None:
    pytest.importorskip("torchao")
    model = Llama(PRESETS["demo"])
    quantize(model, scheme)
    assert model_memory(model.config, scheme=scheme) == pytest.approx(weights_bytes(model), rel=0.08)


def test_a_model_larger_than_the_memory_is_not_loaded(tmp_path, monkeypatch) -> None:
    save_model(Llama(PRESETS["tiny"]), tmp_path)
    monkeypatch.setattr("chaku.checkpoint.formats.build_model", lambda *_: pytest.fail("weights were loaded"))
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    with pytest.raises(ChakuError, match=r"does not fit: .* and 1e-06 GB of memory are free; what fits: a model of at"):
        load_model(tmp_path)


def test_what_would_fit_is_named(monkeypatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: int(8e9))
    with pytest.raises(ChakuError) as error:
        check_fits(PRESETS["7b"], "codellama-7b")
    assert str(error.value) == (
        "codellama-7b does not fit: its 6.74G parameters take 27 GB in float32, and 8 GB of memory are free; "
        "what fits: --quantize int8 (7.6 GB) or --quantize int4 (5.1 GB)"
    )
    check_fits(PRESETS["7b"], "codellama-7b", scheme="int8")
    monkeypatch.setattr(memory, "available_memory", lambda: None)  # the system does not tell: nothing is refused
    check_fits(PRESETS["70b"], "codellama-70b")
