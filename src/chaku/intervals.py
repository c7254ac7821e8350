"""95% confidence intervals of scores: of means and of shares."""

import math
from collections.abc import Sequence

import numpy as np

RESAMPLES = 10_000
SEED = 0


def resampled_means(values: Sequence[float]) -> np.ndarray:
    """The bootstrap means of `values`, (RESAMPLES,). `values` holds one score per problem: problems are resampled."""
    random = np.random.default_rng(SEED)
    numbers = np.asarray(values, dtype=np.float64)
    rows = max(1_000_000 // len(numbers), 1)  # a million numbers at a time take a few megabytes
    parts = []
    for start in range(0, RESAMPLES, rows):
        drawn = random.integers(len(numbers), size=(min(rows, RESAMPLES - start), len(numbers)))
        parts.append(numbers[drawn].mean(axis=1))
    return np.concatenate(parts)


def bootstrap_interval(values: Sequence[float]) -> tuple[float, float]:
    """(low, high): the 95% interval of a mean over problems, from the percentiles of `resampled_means`."""
    low, high = np.percentile(resampled_means(values), [2.5, 97.5])
    return float(low), float(high)


def score_interval(scores: Sequence[float]) -> tuple[float, float]:
    """(low, high): the 95% interval of the mean of `scores`, one of each problem.

    Where every problem is either solved or not, it is Wilson's: a bootstrap of 4 solved problems of 4 would say that
    the score is 100% for sure.
    """
    if all(score in (0, 1) for score in scores):
        return wilson_interval(int(sum(scores)), len(scores))
    return bootstrap_interval(scores)


def wilson_interval(num_right: int, number: int) -> tuple[float, float]:
    """(low, high): the 95% interval of the share of right answers (Wilson 1927), valid near 0 and 1 too.

    `number` is above 0.
    """
    z = 1.959964  # 95% of a normal distribution lie within z standard deviations of its mean
    share, spread = num_right / number, z * z / number
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / number + spread / number / 4) / (1 + spread)
    # The share itself is always inside, also where a sum is rounded.
    return max(min(middle - half, share), 0.0), min(max(middle + half, share), 1.0)
