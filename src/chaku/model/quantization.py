"""Quantise projections to 8 or 4 bits through torchao: int8 and int4 for inference, NF4 for QLoRA's frozen base."""

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
INT4_GROUP = 32  # weights that share an int4 scale: the smallest group of torchao's kernels has the smallest error
NF4_BLOCK = 64  # weights that share an NF4 scale (QLoRA, arXiv 2305.14314, section 3)
NF4_SCALE_BLOCK = 256  # scales that share a second scale (double quantisation, same section)


def quantize(model: Llama, scheme: Scheme) -> None:
    """Quantise and freeze the weight of every projection, in place. Embeddings, norms, biases and `lm_head` stay.

    int8 has one scale per row, int4 one scale per `INT4_GROUP` weights. If the full weights do not fit into memory, use
    `quantize_tensors` while loading. Change the dtype before: a later change breaks int4. Raises ChakuError as
    `quantize_tensor` does.
    """
    for name, module in model.named_modules():
        full_name = f"{name.removesuffix('.base')}.weight"  # under LoRA, the projection is called NAME.base
        if isinstance(module, nn.Linear) and is_quantizable(full_name):
            module.weight = quantize_tensor(full_name, module.weight.detach(), scheme)


def quantize_tensors(tensors: Iterable[tuple[str, Tensor]], scheme: Scheme) -> Iterator[tuple[str, Tensor]]:
    """A checkpoint's tensors for `build_model`, with the projections quantised one at a time.

    Memory holds the quantised tensors and one full tensor. `tensors` must have the model's final device and dtype: a
    later change of dtype would unpack them. Raises ChakuError as `quantize_tensor` does.
    """
    for name, tensor in tensors:
        yield name, quantize_tensor(name, tensor, scheme) if is_quantizable(name) else tensor


def is_quantizable(name: str) -> bool:
    """Whether the parameter of this name is a projection's weight, which is quantised."""
    return name.endswith(tuple(f".{projection}.weight" for projection in PROJECTIONS))


def quantize_tensor(name: str, weight: Tensor, scheme: Scheme) -> nn.Parameter:
    """Quantise and freeze a projection's weight, (out, in); `name` is for error messages.

    The result has the dtype and the device of `weight`. Raises ChakuError when torchao is missing, when it has no
    kernel for the device, when the shape does not fit, and for a weight that is quantised already.
    """
    assert weight.ndim == 2, name
    if is_quantized(weight):
        raise ChakuError(f"{name} is quantised already; load the full weights to quantise them in another way")
    if scheme == "nf4":
        return nn.Parameter(_nf4(name, weight), requires_grad=False)
    if scheme == "int4" and weight.shape[1] % INT4_GROUP:
        raise ChakuError(
            f"int4 needs rows of a multiple of {INT4_GROUP} weights; {name} has {tuple(weight.shape)}: use int8"
        )
    config = _int8_config() if scheme == "int8" else _int4_config(weight.device)
    tile_packed = scheme == "int4" and weight.device.type == "cuda"  # this format supports only bfloat16
    holder = nn.Linear(1, 1, bias=False, device="meta")  # torchao quantises modules
    holder.weight = nn.Parameter(weight.to(torch.bfloat16) if tile_packed else weight, requires_grad=False)
    from_torchao("torchao.quantization", "quantize_")(holder, config, filter_fn=lambda module, name: True)
    return holder.weight


def is_quantized(weight: Tensor) -> bool:
    """Whether a weight is packed by torchao."""
    return type(weight).__module__.startswith("torchao.")


def dense(weight: Tensor) -> Tensor:
    """A weight as an ordinary tensor of its dtype. Raises ChakuError for int4, which torchao cannot unpack."""
    if not is_quantized(weight):
        return weight.detach()
    unpack: Any = getattr(weight, "get_original_weight", weight.dequantize)  # NF4 has another name for `dequantize`
    try:
        return unpack().detach()
    except NotImplementedError:
        raise ChakuError("int4 weights cannot be unpacked; load the full weights, or quantise to int8 or nf4") from None


def weights_bytes(model: nn.Module) -> int:
    """Bytes of all parameters. Quantised weights count with their packed data and scales; tied weights count once."""
    return sum(part.nbytes for parameter in model.parameters() for part in stored_tensors(parameter))


def stored_tensors(weight: Tensor) -> list[Tensor]:
    """The ordinary tensors of a weight: itself, or its packed data and scales."""
    if not is_quantized(weight):
        return [weight]
    names, _ = weight.__tensor_flatten__()  # type: ignore[attr-defined]
    return [part for name in names for part in stored_tensors(getattr(weight, name))]


def _nf4(name: str, weight: Tensor) -> Tensor:
    num_blocks, rest = divmod(weight.numel(), NF4_BLOCK)
    if rest:
        raise ChakuError(f"nf4 needs a multiple of {NF4_BLOCK} weights; {name} has {tuple(weight.shape)}")
    # A matrix too small for whole blocks of 256 scales gets smaller blocks.
    scale_block = math.gcd(num_blocks, NF4_SCALE_BLOCK)
    return from_torchao("torchao.quantization", "NF4Tensor").from_tensor(weight.contiguous(), NF4_BLOCK, scale_block)


def _int8_config() -> Any:
    return from_torchao("torchao.quantization", "Int8WeightOnlyConfig")(set_inductor_config=False)


def _int4_config(device: torch.device) -> Any:
    """The int4 packing for the kernels of a device. Raises ChakuError when there are none."""
    if device.type == "cpu":
        make = from_torchao("torchao.prototype.quantization.int4", "PrototypeInt4WeightOnlyConfig")
        return make(group_size=INT4_GROUP, set_inductor_config=False)
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        make = from_torchao("torchao.quantization", "Int4WeightOnlyConfig")
        return make(group_size=INT4_GROUP, int4_packing_format="tile_packed_to_4d", set_inductor_config=False)
    raise ChakuError(
        f"int4 needs a CPU, or an NVIDIA GPU of compute capability 8.0 (A100) or later; {device} is neither: use int8"
    )


def from_torchao(module: str, name: str) -> Any:
    """Import a name from torchao. Raises ChakuError when torchao is missing, or too old to have the name."""
    from importlib import import_module

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # on import, torchao warns about every missing optional kernel
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ChakuError(f"torchao is missing or too old ({error}): pip install -U 'chaku[quantization]'") from None
    finally:
        logging.disable(before)
