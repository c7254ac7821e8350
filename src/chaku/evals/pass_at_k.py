"""pass@k: the chance that at least one of k samples of a problem is right, averaged over problems."""

from collections.abc import Mapping

from chaku.errors import ChakuError


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
    """The estimate of every problem. `counts`: task -> (samples, correct).

    Raises ChakuError when a problem has fewer than k samples, as the estimate would be biased.
    """
    if not counts:
        raise ChakuError(f"there are no problems, so there is no pass@{k}; give at least one problem with samples")
    if k < 1:
        raise ChakuError(f"there is no pass@{k}; give a k of at least 1")
    for task, (num_samples, _) in counts.items():
        if num_samples < k:
            raise ChakuError(f"pass@{k} needs {k} samples of every problem, but {task} has {num_samples}; sample more")
    return [pass_at_k(samples, correct, k) for samples, correct in counts.values()]
