"""Dequantise the weights of a GGUF file to PyTorch tensors: fast for the usual types, by the gguf package for others.

A row of weights is stored in blocks of 32 or 256 weights, and every block has its own scale. The layouts are those of
ggml-quants.h. The functions here write many blocks at once, 5 to 10 times as fast as the gguf package's. The package
dequantises the remaining types. Tests check that both agree to the bit.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import prod

import numpy as np
import torch
from torch import Tensor

from chaku.errors import ChakuError
from chaku.gguf_file import StoredTensor
from chaku.model.packing import Packed

_PLAIN = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_CONVERTED = {"F64": np.float64, "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64}
_CHUNK = 2**18  # weights that a thread writes at a time: their float32 values fit its cache
_COPIED = 2**15  # weights that PyTorch copies without starting threads of its own


def read_stored(
    stored: StoredTensor, dtype: torch.dtype | None, pairs: int = 0, pool: ThreadPoolExecutor | None = None
) -> Tensor:
    """Read a tensor as `dtype`; with None, in its stored dtype, or float32 if it is quantised.

    A tensor that is stored in `dtype` stays in the mapped file; a page is copied when it is changed. `pairs`: the
    number of heads whose rows 0, 1, 2, 3... are reordered to even rows, then odd rows (see `rotary_heads`); 0 for none.
    The threads of `pool` dequantise in parallel, because numpy releases the interpreter's lock. Raises ChakuError for
    a type that neither chaku nor the gguf package can dequantise.
    """
    name, count = stored.kind.name, prod(stored.shape)
    rows = _rows(stored, pairs)
    if name in _PLAIN:
        plain = torch.from_numpy(np.asarray(rows)).view(_PLAIN[name]).view(stored.shape)
        return plain if dtype is None else plain.to(dtype)
    target = torch.empty(count, dtype=dtype or torch.float32)
    if name in _CONVERTED:
        return target.copy_(torch.from_numpy(rows.view(_CONVERTED[name]).reshape(-1))).view(stored.shape)
    from gguf import GGML_QUANT_SIZES

    block_size, block_bytes = GGML_QUANT_SIZES[stored.kind]
    blocks = rows.reshape(-1, block_bytes)
    step = _CHUNK // block_size
    write = _DEQUANTIZE.get(name) or _by_the_library(stored)

    def write_chunk(start: int) -> None:
        chunk = blocks[start : start + step]
        part = target[start * block_size : (start + len(chunk)) * block_size]
        with np.errstate(all="ignore"):  # damaged scales may be infinite or NaN
            if target.dtype == torch.float32:
                write(chunk, part.numpy().reshape(-1, block_size))
                return
            values = np.empty((len(chunk), block_size), np.float32)
            write(chunk, values)
        given = torch.from_numpy(values).view(-1)
        for at in range(0, len(given), _COPIED):
            part[at : at + _COPIED].copy_(given[at : at + _COPIED])

    for _ in (pool.map if pool else map)(write_chunk, range(0, len(blocks), step)):
        pass
    return target.view(stored.shape)


def read_packed(stored: StoredTensor, pairs: int = 0, pool: ThreadPoolExecutor | None = None) -> Packed | None:
    """A matrix with its stored codes and scales; None for types other than a scale and 32 signed codes per block.

    `pairs` and `pool` are those of `read_stored`.
    """
    codes_of = _SIGNED.get(stored.kind.name)
    if codes_of is None or len(stored.shape) != 2:
        return None
    from gguf import GGML_QUANT_SIZES

    block_size, block_bytes = GGML_QUANT_SIZES[stored.kind]
    blocks = _rows(stored, pairs).reshape(-1, block_bytes)
    codes = torch.empty(stored.shape, dtype=torch.int8)
    scales = torch.empty(stored.shape[0], stored.shape[1] // block_size)
    all_codes, all_scales = codes.numpy().reshape(-1, block_size), scales.numpy().reshape(-1, 1)
    step = _CHUNK // block_size

    def write_chunk(start: int) -> None:
        chunk = slice(start, start + step)
        all_codes[chunk] = codes_of(blocks[chunk])
        all_scales[chunk] = _half(blocks[chunk, :2])

    for _ in (pool.map if pool else map)(write_chunk, range(0, len(blocks), step)):
        pass
    return Packed(8, codes, scales)


def _rows(stored: StoredTensor, pairs: int) -> np.ndarray:
    """A mapped tensor as (rows, bytes); the rows of `pairs` heads are reordered to even rows, then odd rows."""
    mapped = np.memmap(stored.path, np.uint8, "c", stored.offset, (stored.num_bytes,))
    rows = mapped.reshape(prod(stored.shape[:-1]), -1)
    if pairs:
        rows = mapped.reshape(stored.shape[0], -1)  # a vector (a bias) has rows of one weight
        if len(rows) % (2 * pairs):
            raise ChakuError(
                f"{stored.path}: {stored.name} has {len(rows)} rows, which are not {pairs} heads; the file is damaged: "
                "get it again"
            )
        rows = rows.reshape(pairs, -1, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)
    return rows


Blocks = np.ndarray  # (blocks, bytes per block), uint8
Values = np.ndarray  # (blocks, weights per block), float32; an output


def _by_the_library(stored: StoredTensor) -> Callable[[Blocks, Values], None]:
    import gguf

    try:
        gguf.dequantize(np.zeros((1, gguf.GGML_QUANT_SIZES[stored.kind][1]), np.uint8), stored.kind)
    except NotImplementedError:
        raise ChakuError(
            f"{stored.path}: the tensor {stored.name} is of type {stored.kind.name}, which the gguf package does not "
            "dequantise: pip install --upgrade gguf, or get the model in another quantisation, such as Q4_K_M"
        ) from None

    def write(blocks: Blocks, values: Values) -> None:
        values[...] = gguf.dequantize(blocks.reshape(1, -1), stored.kind).reshape(values.shape)

    return write


def _half(two_bytes: np.ndarray) -> np.ndarray:
    """(blocks, 2) bytes -> (blocks, 1) float32."""
    return np.ascontiguousarray(two_bytes).view(np.float16).astype(np.float32)


def _halves(nibbles: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Add the low four bits of (blocks, 16) bytes to the first half of (blocks, 32), the high bits to the second."""
    onto[:, :16] |= nibbles & 15
    onto[:, 16:] |= nibbles >> 4
    return onto


def _fifth_bits(four_bytes: np.ndarray) -> np.ndarray:
    """(blocks, 4) bytes -> (blocks, 32): 16 for a set bit, else 0."""
    return _BIT_AS_16[four_bytes].view(np.uint8)


_BIT_AS_16 = ((np.arange(256)[:, None] >> np.arange(8) & 1) * 16).astype(np.uint8).view(np.uint64)[:, 0]


def _codes_q4_0(blocks: Blocks) -> np.ndarray:
    return (_halves(blocks[:, 2:], np.zeros((len(blocks), 32), np.uint8)) - np.uint8(8)).view(np.int8)


def _codes_q5_0(blocks: Blocks) -> np.ndarray:
    return (_halves(blocks[:, 6:], _fifth_bits(blocks[:, 2:6])) - np.uint8(16)).view(np.int8)


def _codes_q8_0(blocks: Blocks) -> np.ndarray:
    return blocks[:, 2:].view(np.int8)


def _signed(blocks: Blocks, values: Values, codes_of: Callable[[Blocks], np.ndarray]) -> None:
    np.multiply(codes_of(blocks), _half(blocks[:, :2]), out=values)


def _q4_1(blocks: Blocks, values: Values) -> None:
    codes = _halves(blocks[:, 4:], np.zeros((len(blocks), 32), np.uint8))
    np.multiply(codes, _half(blocks[:, :2]), out=values)
    values += _half(blocks[:, 2:4])


def _q5_1(blocks: Blocks, values: Values) -> None:
    codes = _halves(blocks[:, 8:], _fifth_bits(blocks[:, 4:8]))
    np.multiply(codes, _half(blocks[:, :2]), out=values)
    values += _half(blocks[:, 2:4])


def _scales_and_minima(blocks: Blocks) -> tuple[np.ndarray, np.ndarray]:
    """The scales and minima of the eight parts of each Q4_K or Q5_K block, both (blocks, 4, 2, 1).

    A block begins with two float16 factors, then 12 bytes with 16 numbers of 6 bits.
    """
    first, second, third = blocks[:, 4:8], blocks[:, 8:12], blocks[:, 12:16]
    scales = np.concatenate([first & 63, (third & 15) | (first >> 6 << 4)], axis=1)
    minima = np.concatenate([second & 63, (third >> 4) | (second >> 6 << 4)], axis=1)
    shape = (len(blocks), 4, 2, 1)
    return (_half(blocks[:, :2]) * scales).reshape(shape), (_half(blocks[:, 2:4]) * minima).reshape(shape)


def _q4_k(blocks: Blocks, values: Values) -> None:
    scales, minima = _scales_and_minima(blocks)
    nibbles = blocks[:, 16:].reshape(-1, 4, 32)
    parts = values.reshape(-1, 4, 2, 32)
    np.multiply(nibbles & 15, scales[:, :, 0], out=parts[:, :, 0])
    np.multiply(nibbles >> 4, scales[:, :, 1], out=parts[:, :, 1])
    parts -= minima


def _q5_k(blocks: Blocks, values: Values) -> None:
    scales, minima = _scales_and_minima(blocks)
    nibbles, fifth = blocks[:, 48:].reshape(-1, 4, 32), blocks[:, None, 16:48]
    parts = values.reshape(-1, 4, 2, 32)
    bits = np.arange(0, 8, 2, dtype=np.uint8)[:, None]
    np.multiply((nibbles & 15) | (fifth >> bits & 1) << 4, scales[:, :, 0], out=parts[:, :, 0])
    np.multiply((nibbles >> 4) | (fifth >> bits + np.uint8(1) & 1) << 4, scales[:, :, 1], out=parts[:, :, 1])
    parts -= minima


def _q6_k(blocks: Blocks, values: Values) -> None:
    low, high = blocks[:, :128].reshape(-1, 2, 2, 32), blocks[:, 128:192].reshape(-1, 2, 1, 32)
    codes = (high >> np.arange(0, 8, 2, dtype=np.uint8)[:, None] & 3) << 4  # (blocks, 2, 4, 32)
    codes[:, :, :2] |= low & 15
    codes[:, :, 2:] |= low >> 4
    codes -= 32
    scales = _half(blocks[:, 208:]) * blocks[:, 192:208].view(np.int8)
    np.multiply(codes.view(np.int8).reshape(-1, 16, 16), scales[:, :, None], out=values.reshape(-1, 16, 16))


# Block types with a scale and 32 signed codes, and the functions that give the codes, (blocks, 32) int8.
_SIGNED: dict[str, Callable[[Blocks], np.ndarray]] = {"Q4_0": _codes_q4_0, "Q5_0": _codes_q5_0, "Q8_0": _codes_q8_0}

_DEQUANTIZE: dict[str, Callable[[Blocks, Values], None]] = {
    **{name: partial(_signed, codes_of=codes_of) for name, codes_of in _SIGNED.items()},
    "Q4_1": _q4_1,
    "Q5_1": _q5_1,
    "Q4_K": _q4_k,
    "Q5_K": _q5_k,
    "Q6_K": _q6_k,
}
