"""The word n-grams of texts as numbers, MinHash signatures of them, and the exact similarity of two texts."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from chaku.corpus.compiled import count_read, kernels
from chaku.corpus.near_duplicates.minhash_constants import BASE, HALF, MIX

Buffer = bytes | memoryview
NGRAM = 5  # words; this and the permutations: BigCode's near-deduplication (StarCoder, StarCoder2)
NUM_PERMUTATIONS = 256
# A word is a run of ASCII letters, digits and underscores (regular expressions: \w) and of characters beyond ASCII.
IS_WORD = np.array([byte > 127 or chr(byte).isalnum() or byte == ord("_") for byte in range(256)])
_AT_A_TIME = 1 << 6  # n-grams that numpy hashes together, so that a step's numbers stay in the cache


@dataclass(frozen=True)
class Grams:
    """The distinct n-grams of some texts: text i has `values[offsets[i] : offsets[i + 1]]`, ascending.

    `values`: uint32, the hashes of n-grams. `offsets`: (num_texts + 1,) int64. A text of fewer than n words has none.
    """

    values: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        return self.values[self.offsets[index] : self.offsets[index + 1]]


def gram_sets(texts: Iterable[Buffer], ngram: int = NGRAM) -> list[np.ndarray]:
    """The distinct n-grams of the words of each text in UTF-8, ascending, uint32."""
    found = []
    for text in texts:
        count_read(len(text))
        find = compiled.find_grams if (compiled := _kernels()) else find_grams
        found.append(distinct(find(np.frombuffer(text, np.uint8), ngram, IS_WORD)))
    return found


def joined(sets: list[np.ndarray]) -> Grams:
    """The sets that `gram_sets` returns, as one record."""
    offsets = np.cumsum([0, *map(len, sets)], dtype=np.int64)
    return Grams(np.concatenate([np.zeros(0, np.uint32), *sets]), offsets)


def distinct(values: np.ndarray) -> np.ndarray:
    """The different values, ascending; several times as fast as `np.unique`."""
    values = np.sort(values)
    first = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return values[first]


def signatures_of(grams: Grams, num_permutations: int = NUM_PERMUTATIONS) -> np.ndarray:
    """The MinHash signature of every text, (num_texts, num_permutations) uint32.

    Two signatures agree at a place with a probability of about the Jaccard similarity of the two texts.
    """
    draws = np.random.Generator(np.random.Philox(key=[0, 0]))
    factors = draws.integers(0, 1 << 31, num_permutations, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    terms = draws.integers(0, 1 << 32, num_permutations, dtype=np.uint32)
    find = compiled.find_signatures if (compiled := _kernels()) else find_signatures
    return find(grams.values, grams.offsets, factors, terms)


def bands_of(signatures: np.ndarray, num_bands: int, num_rows: int) -> np.ndarray:
    """A hash of each band of `num_rows` places of the signatures, (num_texts, num_bands) uint64."""
    hashes = np.zeros((len(signatures), num_bands), np.uint64)
    for row in range(num_rows):
        hashes = hashes * BASE + signatures[:, row : num_bands * num_rows : num_rows]
    hashes ^= hashes >> HALF
    return hashes * MIX


def at_least_as_similar(first: np.ndarray, second: np.ndarray, threshold: float) -> bool:
    """Whether the Jaccard similarity of two sets, each ascending and distinct, is at least `threshold`."""
    fewer, more = sorted((len(first), len(second)))
    if fewer < threshold * more:
        return False
    if compiled := _kernels():
        shared = compiled.num_shared(first, second)
    else:
        shared = len(np.intersect1d(first, second, assume_unique=True))
    return bool(shared >= threshold * (fewer + more - shared))


def find_grams(data: np.ndarray, ngram: int, is_word: np.ndarray) -> np.ndarray:
    """The hashes of the n-grams of a text in their order, uint32. `data`: its bytes."""
    inside = np.concatenate([[False], is_word[data], [False]])
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    starts, stops = edges[::2], edges[1::2]
    if len(starts) < ngram:
        return np.zeros(0, np.uint32)
    lengths = stops - starts
    power = np.repeat(stops, lengths) - 1 - np.flatnonzero(inside[1:])
    powers = np.cumprod(np.concatenate([np.ones(1, np.uint64), np.full(int(lengths.max()) - 1, BASE)]))
    letters = data[inside[1:-1]] * powers[power]
    words = np.add.reduceat(letters, np.concatenate([[0], np.cumsum(lengths[:-1])]))
    words ^= words >> HALF
    words *= MIX
    words ^= words >> HALF
    hashes = np.zeros(len(words) - ngram + 1, np.uint64)
    for place in range(ngram):
        hashes = hashes * BASE + words[place : place + len(hashes)]
    return (hashes * MIX >> HALF).astype(np.uint32)


def find_signatures(values: np.ndarray, offsets: np.ndarray, factors: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """For each text and place, the least value of (factor x n-gram + term) modulo 2**32."""
    signatures = np.full((len(offsets) - 1, len(factors)), 0xFFFFFFFF, np.uint32)
    for signature, first, last in zip(signatures, offsets[:-1], offsets[1:], strict=True):
        for start in range(first, last, _AT_A_TIME):
            part = values[start : min(last, start + _AT_A_TIME), None]
            np.minimum(signature, (part * factors + terms).min(axis=0), out=signature)
    return signatures


def _kernels() -> ModuleType | None:
    """The same functions compiled by numba, several times as fast; None while plain ones will do."""
    return kernels("near_duplicates.minhash_compiled")
