"""pass@k: the chance that one of k samples of a problem is right, averaged over problems."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from chaku.errors import ChakuError

RESAMPLES = 10_000
SEED = 0


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """The unbiased estimate for one problem from n samples with c correct (Chen et al. 2021, equation 1).

    1 - C(n - c, k) / C(n, k), as a product that does not overflow. `num_samples` must be at least `k`.
    """
    if not 0 <= num_correct <= num_samples or not 1 <= k <= num_samples:
        raise ValueError(f"no pass@{k} of {num_samples} samples with {num_correct} correct")
    if num_samples - num_correct < k:
        return 1.0
    all_wrong = 1.0
    for i in range(num_samples - num_correct + 1, num_samples + 1):
        all_wrong *= 1.0 - k / i
    return 1.0 - all_wrong


def pass_at_k_by_problem(counts: Mapping[str, tuple[int, int]], k: int) -> list[float]:
    """Each problem's estimate; `counts` is task -> (samples, correct).

    Raises ChakuError, naming a problem, when it has fewer samples than k: the estimate would be biased.
    """
    if not counts:
        raise ChakuError(f"pass@{k} of no problems at all; there is nothing to score")
    if k < 1:
        raise ChakuError(f"there is no pass@{k}; k is 1 or more")
    for task, (num_samples, _) in counts.items():
        if num_samples < k:
            raise ChakuError(f"pass@{k} needs {k} samples of every problem, but {task} has {num_samples}; sample more")
    return [pass_at_k(samples, correct, k) for samples, correct in counts.values()]


def mean_pass_at_k(counts: Mapping[str, tuple[int, int]], k: int) -> float:
    """The mean over problems; see `pass_at_k_by_problem`."""
    values = pass_at_k_by_problem(counts, k)
    return sum(values) / len(values)


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
