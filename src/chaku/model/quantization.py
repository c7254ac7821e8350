"""Projections in 8 or 4 bits through torchao: int8 and int4 for inference, NF4 for QLoRA's frozen base."""

import logging
import math
from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from chaku.errors import ChakuError
from chaku.model.config import PROJECTIONS
from chaku.model.llama import Llama

Scheme = Literal["int8", "int4", "nf4"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
INT4_GROUP = 32  # weights that share an int4 scale: the finest that torchao's kernels take, so the smallest error
NF4_BLOCK = 64  # weights that share an NF4 scale (QLoRA, arXiv 2305.14314, section 3)
NF4_SCALE_BLOCK = 256  # scales that share a scale of their own: the double quantisation of the same section


def quantize(model: Llama, scheme: Scheme) -> None:
    """Replace the weight of every projection, in place; embeddings, norms, biases and `lm_head` stay as they are.

    Quantised weights are frozen. int8 has one scale a row, int4 one for `INT4_GROUP` weights. A model whose full
    weights do not fit is quantised while it loads, by `quantize_tensors`. A change of dtype afterwards breaks int4:
    make it before. Raises ChakuError as `quantize_tensor` does.
    """
    for name, module in model.named_modules():
        full_name = f"{name.removesuffix('.base')}.weight"  # under LoRA it is the base
        if isinstance(module, nn.Linear) and is_quantizable(full_name):
            module.weight = quantize_tensor(full_name, module.weight.detach(), scheme)


def quantize_tensors(tensors: Iterable[tuple[str, Tensor]], scheme: Scheme) -> Iterator[tuple[str, Tensor]]:
    """A checkpoint's tensors on their way into `build_model`, the projections quantised one at a time.

    Memory holds what is quantised so far and one full tensor. They come on the device and in the dtype that the model
    is to have: a later change of dtype would unpack them.
    """
    for name, tensor in tensors:
        yield name, quantize_tensor(name, tensor, scheme) if is_quantizable(name) else tensor


def is_quantizable(name: str) -> bool:
    """Whether a parameter of this name is one of those that are quantised."""
    return name.endswith(tuple(f".{projection}.weight" for projection in PROJECTIONS))


def quantize_tensor(name: str, weight: Tensor, scheme: Scheme) -> nn.Parameter:
    """One projection's weight, (out, in), quantised and frozen; `name` stands in errors.

    Its dtype stays that of `weight`, its device too. Raises ChakuError where torchao, its kernel or the right shape is
    missing.
    """
    assert weight.ndim == 2, name
    if is_quantized(weight):
        raise ChakuError(f"{name} is quantised already; load the full weights to quantise them otherwise")
    if scheme == "nf4":
        return nn.Parameter(_nf4(name, weight), requires_grad=False)
    if scheme == "int4" and weight.shape[1] % INT4_GROUP:
        raise ChakuError(f"int4 needs rows of a multiple of {INT4_GROUP} weights; {name} has {tuple(weight.shape)}")
    config = _int8_config() if scheme == "int8" else _int4_config(weight.device)
    tile_packed = scheme == "int4" and weight.device.type == "cuda"  # a format of bfloat16 only
    holder = nn.Linear(1, 1, bias=False, device="meta")  # torchao quantises modules
    holder.weight = nn.Parameter(weight.to(torch.bfloat16) if tile_packed else weight, requires_grad=False)
    _torchao("torchao.quantization", "quantize_")(holder, config, filter_fn=lambda module, name: True)
    return holder.weight


def is_quantized(weight: Tensor) -> bool:
    """Whether a weight is packed by torchao."""
    return type(weight).__module__.startswith("torchao.")


def dense(weight: Tensor) -> Tensor:
    """A weight as an ordinary tensor of its dtype. Raises ChakuError for int4, whose packing is the kernel's own."""
    if not is_quantized(weight):
        return weight.detach()
    unpack: Any = getattr(weight, "get_original_weight", weight.dequantize)  # NF4's name for it, and the others'
    try:
        return unpack().detach()
    except NotImplementedError:
        raise ChakuError("int4 weights cannot be unpacked; load the full weights, or quantise to int8 or nf4") from None


def weights_bytes(model: nn.Module) -> int:
    """Bytes that the parameters occupy: packed data and scales where they are quantised, tied weights once."""
    return sum(part.nbytes for parameter in model.parameters() for part in stored_tensors(parameter))


def stored_tensors(weight: Tensor) -> list[Tensor]:
    """The ordinary tensors that a weight is made of: itself, or its packed data and scales."""
    if not is_quantized(weight):
        return [weight]
    names, _ = weight.__tensor_flatten__()  # type: ignore[attr-defined]
    return [part for name in names for part in stored_tensors(getattr(weight, name))]


def _nf4(name: str, weight: Tensor) -> Tensor:
    num_blocks, rest = divmod(weight.numel(), NF4_BLOCK)
    if rest:
        raise ChakuError(f"nf4 needs a multiple of {NF4_BLOCK} weights; {name} has {tuple(weight.shape)}")
    # A matrix too small for whole groups of 256 scales has smaller groups.
    scale_block = math.gcd(num_blocks, NF4_SCALE_BLOCK)
    return _torchao("torchao.quantization", "NF4Tensor").from_tensor(weight.contiguous(), NF4_BLOCK, scale_block)


def _int8_config() -> Any:
    return _torchao("torchao.quantization", "Int8WeightOnlyConfig")(set_inductor_config=False)


def _int4_config(device: torch.device) -> Any:
    """The packing that this device has a kernel for. Raises ChakuError where there is none."""
    if device.type == "cpu":
        make = _torchao("torchao.prototype.quantization.int4", "PrototypeInt4WeightOnlyConfig")
        return make(group_size=INT4_GROUP, set_inductor_config=False)
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        make = _torchao("torchao.quantization", "Int4WeightOnlyConfig")
        return make(group_size=INT4_GROUP, int4_packing_format="tile_packed_to_4d", set_inductor_config=False)
    raise ChakuError(
        f"int4 needs a processor, or an NVIDIA GPU of compute capability 8.0 (A100) or later; {device} is neither: "
        "use int8"
    )


def _torchao(module: str, name: str) -> Any:
    """A name out of torchao. Raises ChakuError when torchao is missing or too old to have it."""
    from importlib import import_module

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # on import torchao warns of every optional kernel that it does not find
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ChakuError(f"torchao is missing or too old ({error}): pip install -U 'chaku[quantization]'") from None
    finally:
        logging.disable(before)
