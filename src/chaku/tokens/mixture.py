"""Choose the set of every sample and the order within a set, as functions of the sample index, without state."""

from collections.abc import Sequence

import numpy as np

BLOCK = 1024  # samples; in every block each set's number of samples is right to within one


def source_of(sample_index: int, weights: Sequence[float], seed: int) -> tuple[int, int]:
    """(number of the set, index within that set's samples) of a global sample index.

    Every block of samples is divided by weight and shuffled; rounding errors carry over to the next block. All
    sequences have the same length, so that shares of samples are shares of tokens.
    """
    block, place = divmod(sample_index, BLOCK)
    before, sources = _block(block, weights, seed)
    source = int(sources[place])
    return source, int(before[source] + np.count_nonzero(sources[:place] == source))


def samples_drawn(num_samples: int, weights: Sequence[float], seed: int) -> np.ndarray:
    """The number of samples of every set among the first `num_samples` samples, (num_sets,) int64."""
    block, place = divmod(num_samples, BLOCK)
    before, sources = _block(block, weights, seed)
    return before + np.bincount(sources[:place], minlength=len(weights))


def epoch_key(seed: int, source: int, epoch: int) -> int:
    """The key of `permute` for an epoch of a set."""
    return seed + 1_000_003 * (source + 1) + 998_244_353 * (epoch + 1)


def _block(block: int, weights: Sequence[float], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(samples of every set before a block, (num_sets,) int64; the set of each of its samples, (BLOCK,) int64)."""
    before, after = _shares(block, weights), _shares(block + 1, weights)
    sources = np.repeat(np.arange(len(weights)), after - before)
    np.random.Generator(np.random.Philox(key=[seed & _MASK, block])).shuffle(sources)
    return before, sources


def _shares(num_blocks: int, weights: Sequence[float]) -> np.ndarray:
    """The number of samples of every set in the first `num_blocks` blocks, (num_sets,) int64.

    The cumulative weights are rounded, so that the numbers add up exactly.
    """
    bounds = np.cumsum([0.0, *weights]) / sum(weights)
    bounds[-1] = 1.0
    return np.diff(np.floor(bounds * BLOCK * num_blocks + 0.5).astype(np.int64))


def permute(index: int, size: int, key: int) -> int:
    """The element at `index` in a pseudorandom order of range(size): a Feistel network, repeated until inside it."""
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = index >> half, index & mask
        for round_number in range(4):
            left, right = right, left ^ (_mix(right, key + round_number) & mask)
        index = left << half | right
        if index < size:
            return index


def _mix(value: int, key: int) -> int:
    value = (value + key * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & _MASK
    return value ^ value >> 31


_MASK = (1 << 64) - 1
