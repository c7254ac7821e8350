"""Pack weights into 8 or 4 bits with a scale per group of weights, for compiled graphs."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from chaku.errors import ChakuError
from chaku.model.quantization import is_quantizable

GROUP = 32  # weights of a row that share a scale, as in llama.cpp's Q8_0 and Q4_1
_PART = 2**15  # weights that are packed at a time: their float32 values fit the processor's cache
_PARTS_A_JOB = 16  # parts that a thread packs in one job
_TINY = torch.finfo(torch.float32).tiny  # the scale of a group whose weights are all 0
# Shares of a group's range that the 16 levels may span. Outliers are clipped when clipping makes the squared error of
# the group smaller.
_SPANS = (1.0, 0.9, 0.8)


@dataclass(frozen=True)
class Packed:
    """A packed matrix of (out, in) weights. A weight is (code - zero) * scale.

    `codes`: int8 (out, in); or uint8 (out, in / 2), two unsigned 4-bit codes per byte, the first in the low half.
    `scales` and `zeros`: (out, groups) float32; None stands for zeros of 0.
    """

    bits: int
    codes: Tensor
    scales: Tensor
    zeros: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the unpacked matrix: (out, in)."""
        return self.codes.shape[0], self.codes.shape[1] * 8 // self.bits

    @property
    def nbytes(self) -> int:
        """The bytes of codes, scales and zeros."""
        return self.codes.nbytes + self.scales.nbytes + (0 if self.zeros is None else self.zeros.nbytes)


def pack_weights(
    tensors: Iterable[tuple[str, Tensor | Packed]], scheme: Literal["int8", "int4"] | None, dtype: torch.dtype
) -> dict[str, Tensor | Packed]:
    """Pack a checkpoint's tensors one at a time; packed tensors stay as they are. Without a `scheme`, cast to `dtype`.

    int4 packs projections in 4 bits, but embeddings, which lose more, in 8 bits. Norms and biases become float32.
    Raises ChakuError when int4 cannot divide a projection's rows into groups.
    """
    weights: dict[str, Tensor | Packed] = {}
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for name, tensor in tensors:
            if isinstance(tensor, Packed):
                weights[name] = tensor
            elif tensor.ndim == 1:
                weights[name] = tensor.float()
            elif scheme is None:
                weights[name] = tensor.to(dtype)
            elif scheme == "int4" and is_quantizable(name):
                if tensor.shape[1] % GROUP:
                    raise ChakuError(
                        f"int4 needs rows of a multiple of {GROUP} weights; {name} has {tuple(tensor.shape)}: use int8"
                    )
                weights[name] = pack_int4(tensor, pool)
            else:
                weights[name] = pack_int8(tensor, pool)
    return weights


def group_size(width: int) -> int:
    """The weights that share a scale: `GROUP`, or the whole row when `width` is not a multiple of `GROUP`."""
    return GROUP if width % GROUP == 0 else width


def pack_int8(weight: Tensor, pool: ThreadPoolExecutor | None = None) -> Packed:
    """Pack (out, in) weights into 8 bits, symmetric: the largest weight of a group becomes 127 or -127."""
    group = group_size(weight.shape[1])
    groups = weight.reshape(-1, group)
    codes = torch.empty(groups.shape, dtype=torch.int8)
    scales = torch.empty(len(groups), 1)

    def pack(part: slice) -> None:
        values = groups[part].float()
        scale = torch.amax(values.abs(), 1, keepdim=True).div_(127)
        codes[part] = (values * (1 / scale.clamp(min=_TINY))).round_()
        scales[part] = scale

    _for_parts(pack, groups, pool)
    return Packed(8, codes.view(weight.shape), scales.view(len(weight), -1))


def pack_int4(weight: Tensor, pool: ThreadPoolExecutor | None = None) -> Packed:
    """Pack (out, in) weights into 4 bits with a zero point per group. `in` must be a multiple of `GROUP`.

    The zero points are fractions, as in Q4_1 and Q4_K: with whole zero points, a file of these types had a 28% higher
    perplexity.
    """
    assert weight.shape[1] % GROUP == 0
    groups = weight.reshape(-1, GROUP)
    codes = torch.empty((len(groups), GROUP // 2), dtype=torch.uint8)
    scales, zeros = torch.empty(len(groups), 1), torch.empty(len(groups), 1)

    def pack(part: slice) -> None:
        values = groups[part].float()
        low, high = torch.aminmax(values, dim=1, keepdim=True)
        low, high = low.clamp(max=0), high.clamp(min=0)  # otherwise a group of equal weights has step 0
        least = torch.full_like(low, torch.inf)
        scale, zero = torch.empty_like(low), torch.empty_like(low)
        for span in _SPANS:
            step = ((high - low) * (span / 15)).clamp_(min=_TINY)
            offset = -low * span / step
            error = torch.linalg.vector_norm(_codes(values, step, offset).sub_(offset).mul_(step).sub_(values), dim=1)
            better = error[:, None] < least
            least = torch.where(better, error[:, None], least)
            scale, zero = torch.where(better, step, scale), torch.where(better, offset, zero)
        code = _codes(values, scale, zero).to(torch.uint8)
        scales[part], zeros[part] = scale, zero
        codes[part] = code[:, ::2] | code[:, 1::2] << 4

    _for_parts(pack, groups, pool)
    shape = (len(weight), -1)
    return Packed(4, codes.view(shape), scales.view(shape), zeros.view(shape))


def _codes(values: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    return torch.addcmul(zero, values, 1 / scale).round_().clamp_(0, 15)


def unpack(packed: Packed) -> Tensor:
    """The (out, in) float32 weights of a packed matrix."""
    codes = packed.codes
    if packed.bits == 4:
        codes = torch.stack([codes & 15, codes >> 4], dim=-1)
    groups = codes.view(*packed.scales.shape, -1).float()
    if packed.zeros is not None:
        groups -= packed.zeros.unsqueeze(-1)
    return (groups * packed.scales.unsqueeze(-1)).view(packed.shape)


def concatenate(parts: list[Packed]) -> Packed:
    """Concatenate packed matrices of the same width along their rows."""
    first = parts[0]
    zeros = None if first.zeros is None else torch.cat([part.zeros for part in parts if part.zeros is not None])
    codes, scales = torch.cat([part.codes for part in parts]), torch.cat([part.scales for part in parts])
    return Packed(first.bits, codes, scales, zeros)


def _for_parts(pack: Callable[[slice], None], groups: Tensor, pool: ThreadPoolExecutor | None) -> None:
    """Call `pack` for all groups, in parts that are too small for PyTorch to start its own threads."""
    step = max(1, _PART // groups.shape[1])
    starts = range(0, len(groups), step)

    def several(chosen: Sequence[int]) -> None:
        for start in chosen:
            pack(slice(start, start + step))

    jobs = [starts[at : at + _PARTS_A_JOB] for at in range(0, len(starts), _PARTS_A_JOB)]
    for _ in (pool.map if pool else map)(several, jobs):
        pass
