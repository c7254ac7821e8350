"""What a model takes of the memory."""

import pytest
import torch

from chaku.model import memory
from chaku.model.config import PRESETS, PROJECTIONS
from chaku.model.llama import Llama
from chaku.model.memory import model_memory, num_projection_weights
from chaku.model.quantization import is_quantizable, quantize, weights_bytes


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
