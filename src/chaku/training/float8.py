"""Matrix products in 8 bits (float8) on an NVIDIA GPU of Ada's or Hopper's generation or later, by torchao."""

import torch
from torch import nn

from chaku.errors import ChakuError
from chaku.model.llama import Llama
from chaku.model.quantization import from_torchao

CAPABILITY = (8, 9)  # Ada; Hopper is 9.0
MULTIPLE = 16  # of the tensor cores: every side of a product in float8


def use_float8(model: Llama, device: torch.device, sequence_length: int, *, emulate: bool = False) -> None:
    """Let the layers' projections multiply in float8, in place: torchao's recipe with one scale for each tensor.

    Weights and the optimizer keep their dtypes; embeddings, `lm_head`, norms and attention stay as they are. The
    weights are ordinary parameters, which FSDP2 shards and gathers in bfloat16. `device` is the one that trains; the
    model may still be on the meta device. `emulate`: compute the same roundings on any device, slowly. Raises
    ChakuError for a device without float8, for sides of products that are no multiple of 16, and when torchao is
    missing.
    """
    if not emulate:
        _check_device(device)
    _check_sides(model, sequence_length)
    config = from_torchao("torchao.float8", "Float8LinearConfig")(emulate=emulate)
    from_torchao("torchao.float8", "convert_to_float8_training")(model.model.layers, config=config)


def _check_device(device: torch.device) -> None:
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < CAPABILITY:
        raise ChakuError(
            'training.precision = "float8" needs an NVIDIA GPU of compute capability 8.9 or later (Ada, Hopper, '
            f'Blackwell), and {device} is none; set it to "auto"'
        )


def _check_sides(model: Llama, sequence_length: int) -> None:
    sides = {"sequence_length": sequence_length}
    for name, module in model.model.layers[0].named_modules():
        if isinstance(module, nn.Linear):
            sides |= {f"the width of {name}": module.out_features, f"the input of {name}": module.in_features}
    for name, side in sides.items():
        if side % MULTIPLE:
            raise ChakuError(f'training.precision = "float8" needs multiples of {MULTIPLE}, but {name} is {side}')
