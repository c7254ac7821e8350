"""How sure a score is: 95% intervals of means and of shares."""

import math
from collections.abc import Sequence

import numpy as np

RESAMPLES = 10_000
SEED = 0


def resampled_means(values: Sequence[float]) -> np.ndarray:
    """The means of `values` drawn anew with replacement, (RESAMPLES,): the problems, not the samples, are drawn."""
    random = np.random.default_rng(SEED)
    numbers = np.asarray(values, dtype=np.float64)
    rows = max(1_000_000 // len(numbers), 1)  # so many drawn at a time keep it to some megabytes
    parts = []
    for start in range(0, RESAMPLES, rows):
        drawn = random.integers(len(numbers), size=(min(rows, RESAMPLES - start), len(numbers)))
        parts.append(numbers[drawn].mean(axis=1))
    return np.concatenate(parts)


def bootstrap_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95% interval of a mean over problems, by percentiles of `resampled_means`."""
    low, high = np.percentile(resampled_means(values), [2.5, 97.5])
    return float(low), float(high)


def wilson_interval(num_right: int, number: int) -> tuple[float, float]:
    """The 95% interval of a share of right answers (Wilson 1927), which holds near 0 and 1 too. `number` is above 0."""
    z = 1.959964  # of a normal distribution, within which 95% of it lie
    share, spread = num_right / number, z * z / number
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / number + spread / number / 4) / (1 + spread)
    return max(middle - half, 0.0), min(middle + half, 1.0)
