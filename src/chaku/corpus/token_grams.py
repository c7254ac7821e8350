"""Hashes of every ten consecutive code tokens of a text, with numpy, at tens of megabytes a second."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

NUM_TOKENS = 10
_PRIME = 0x9E3779B97F4A7C15 | 1  # odd, so that it has an inverse modulo 2^64
_SPACE, _WORD, _MARK = 0, 1, 2


def _table() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    kinds, small = np.full(256, _MARK, np.uint8), np.arange(256, dtype=np.uint8)
    for code in range(256):
        if code >= 128 or chr(code).isalnum() or chr(code) == "_":
            kinds[code] = _WORD
        elif chr(code).isspace():
            kinds[code] = _SPACE
        if code < 128:
            small[code] = ord(chr(code).lower())
    return kinds, small


_KINDS, _SMALL = _table()


def token_grams(text: str) -> tuple[NDArray[np.uint64], bytes]:
    """The hash of each ten consecutive tokens, and the text in UTF-8 and small letters without white space.

    A token is a word or one other character. The hash is of the characters between the borders of tokens.
    """
    raw = np.frombuffer(text.encode(), np.uint8)
    kinds = _KINDS[raw]
    full = kinds != _SPACE
    starts = full.copy()
    starts[1:] &= (kinds[1:] == _MARK) | (kinds[:-1] != _WORD)
    compact = _SMALL[raw[full]]
    borders = np.append(np.flatnonzero(starts[full]), len(compact))
    if len(borders) <= NUM_TOKENS:
        return np.empty(0, np.uint64), compact.tobytes()
    powers, inverses = _powers(len(compact).bit_length())
    sums = np.zeros(len(compact) + 1, np.uint64)
    np.cumsum((compact.astype(np.uint64) + np.uint64(1)) * powers[: len(compact)], out=sums[1:])
    first, last = borders[:-NUM_TOKENS], borders[NUM_TOKENS:]
    hashes = (sums[last] - sums[first]) * inverses[first]
    return hashes ^ (hashes >> np.uint64(29)) * np.uint64(0xBF58476D1CE4E5B9), compact.tobytes()


@cache
def _powers(bits: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The powers of the prime, and of its inverse, modulo 2^64."""
    size = 2**bits
    return tuple(  # type: ignore[return-value]
        np.multiply.accumulate(np.concatenate(([np.uint64(1)], np.full(size - 1, base, np.uint64))))
        for base in (_PRIME % 2**64, pow(_PRIME, -1, 2**64))
    )
