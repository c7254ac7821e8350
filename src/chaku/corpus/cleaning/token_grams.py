"""Hashes of every ten consecutive code tokens of a text, with numpy, at tens of megabytes a second."""

from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from chaku.corpus.compiled import kernels

NUM_TOKENS = 10
_PRIME = 0x9E3779B97F4A7C15 | 1  # odd, so that it has an inverse modulo 2^64
_INVERSE = pow(_PRIME, -1, 2**64)
_POWERS = 10  # bits: powers that the compiled search looks up
_MIX, _SHIFT = 0xBF58476D1CE4E5B9, 29
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
_CLASSES = _KINDS.astype(np.uint16) << 8 | (_SMALL + np.uint8(1))  # 256 x the kind + the number of the small letter


def token_grams(text: str, num_tokens: int = NUM_TOKENS) -> tuple[NDArray[np.uint64], bytes]:
    """The hash of each `num_tokens` consecutive tokens, and the text in UTF-8 and small letters without white space.

    A token is a word or one other character. The hash is of the characters between the borders of tokens:
    a polynomial of the prime, the last character its constant.
    """
    raw = np.frombuffer(text.encode(), np.uint8)
    kinds = _KINDS[raw]
    full = kinds != _SPACE
    starts = full.copy()
    starts[1:] &= (kinds[1:] == _MARK) | (kinds[:-1] != _WORD)
    compact = _SMALL[raw[full]]
    borders = np.append(np.flatnonzero(starts[full]), len(compact))
    if len(borders) <= num_tokens:
        return np.empty(0, np.uint64), compact.tobytes()
    powers, inverses = _powers(len(compact).bit_length())
    sums = np.zeros(len(compact) + 1, np.uint64)
    np.cumsum((compact.astype(np.uint64) + np.uint64(1)) * inverses[: len(compact)], out=sums[1:])
    first, last = borders[:-num_tokens], borders[num_tokens:]
    hashes = (sums[last] - sums[first]) * powers[last - 1]
    return hashes ^ (hashes >> np.uint64(_SHIFT)) * np.uint64(_MIX), compact.tobytes()


class GramTable:
    """Finds which of some 10-grams a text has. `hashes`: (num_hashes,) uint64, ascending, each once.

    A bit for the first bits of each hash tells of most 10-grams of a text that they are not there.
    """

    def __init__(self, hashes: NDArray[np.uint64]):
        self.hashes = hashes
        bits = max(10, (8 * len(hashes)).bit_length())  # small, so that the processor's cache holds it
        self._shift = np.uint64(64 - bits)
        self._possible = np.zeros(2**bits, bool)
        self._possible[hashes >> self._shift] = True

    def find(self, text: str) -> NDArray[np.int64]:
        """The places in `hashes` of the 10-grams of a text that are there, ascending."""
        if compiled := kernels():
            bits, table, places, numbers = self._compiled
            raw = np.frombuffer(text.encode(), np.uint8)
            found = compiled.find_grams(raw, _CLASSES, numbers, _powers(_POWERS)[0], bits, table)
            return np.sort(places[np.unique(found)])
        grams, _ = token_grams(text)
        grams = np.unique(grams[self._possible[grams >> self._shift]])
        places = np.searchsorted(self.hashes, grams)
        there = places < len(self.hashes)
        places, grams = places[there], grams[there]
        return places[self.hashes[places] == grams]

    @cached_property
    def _compiled(self) -> tuple[NDArray[np.uint8], NDArray[np.uint64], NDArray[np.int64], NDArray[np.uint64]]:
        """(`_possible` as bits, a hash table with open addressing, the place of each entry, the numbers of the search).

        The table: each hash at the first free place from its first bits on; 0 is a free place. The numbers: the prime,
        the factor that mixes, the shifts that give the first bits for `_possible` and for the table.
        """
        shift = 64 - (4 * len(self.hashes) + 4).bit_length()
        size = 2 ** (64 - shift)
        table, places = np.zeros(size, np.uint64), np.zeros(size, np.int64)
        for place, gram in enumerate(self.hashes.tolist()):
            slot = gram >> shift
            while table[slot]:
                slot = (slot + 1) % size
            table[slot], places[slot] = gram, place
        numbers = np.array([_PRIME, _MIX, int(self._shift), shift], np.uint64)
        return np.packbits(self._possible, bitorder="little"), table, places, numbers


@cache
def _powers(bits: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The powers of the prime, and of its inverse, modulo 2^64."""
    size = 2**bits
    return tuple(  # type: ignore[return-value]
        np.multiply.accumulate(np.concatenate(([np.uint64(1)], np.full(size - 1, base, np.uint64))))
        for base in (_PRIME, _INVERSE)
    )
