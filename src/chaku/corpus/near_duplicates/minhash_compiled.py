"""The functions of `minhash` that see every byte, compiled by numba; they return the same numbers."""

from collections.abc import Callable
from typing import TypeVar

import numba
import numpy as np

from chaku.corpus.near_duplicates.minhash_constants import BASE, HALF, MIX

_Function = TypeVar("_Function", bound=Callable[..., object])
_compiled: Callable[[_Function], _Function] = numba.njit(cache=True, nogil=True)
_NONE = np.uint64(0)


@_compiled
def find_grams(data: np.ndarray, ngram: int, is_word: np.ndarray) -> np.ndarray:
    """As `minhash.find_grams`."""
    words = np.empty(len(data) // 2 + 1, np.uint64)
    count = at = 0
    while at < len(data):
        word = _NONE  # no word has this number: a text has no NUL character
        while at < len(data) and is_word[data[at]]:
            word = word * BASE + np.uint64(data[at])
            at += 1
        if word != _NONE:
            word ^= word >> HALF
            word *= MIX
            words[count] = word ^ (word >> HALF)
            count += 1
        at += 1
    grams = np.empty(max(0, count - ngram + 1), np.uint32)
    for first in range(len(grams)):
        gram = _NONE
        for place in range(first, first + ngram):
            gram = gram * BASE + words[place]
        grams[first] = np.uint32((gram * MIX) >> HALF)
    return grams


@_compiled
def find_signatures(values: np.ndarray, offsets: np.ndarray, factors: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """As `minhash.find_signatures`."""
    signatures = np.full((len(offsets) - 1, len(factors)), np.uint32(0xFFFFFFFF), np.uint32)
    for text in range(len(signatures)):
        signature = signatures[text]
        at, end = offsets[text], offsets[text + 1]
        while at + 4 <= end:  # four at a time: a signature is read and written a quarter as often
            one, two, three, four = values[at], values[at + 1], values[at + 2], values[at + 3]
            at += 4
            for place in range(len(factors)):
                factor, term = factors[place], terms[place]
                least = min(np.uint32(factor * one + term), np.uint32(factor * two + term))
                other = min(np.uint32(factor * three + term), np.uint32(factor * four + term))
                signature[place] = min(signature[place], min(least, other))
        while at < end:
            one = values[at]
            at += 1
            for place in range(len(factors)):
                signature[place] = min(signature[place], np.uint32(factors[place] * one + terms[place]))
    return signatures


@_compiled
def num_shared(first: np.ndarray, second: np.ndarray) -> int:
    """The number of values that two ascending arrays share."""
    count = at = 0
    for value in first:
        while at < len(second) and second[at] < value:
            at += 1
        if at == len(second):
            break
        count += second[at] == value
    return count
