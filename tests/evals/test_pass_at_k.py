"""pass@k against its definition: the share of k-subsets with a correct sample."""

from itertools import combinations

import pytest

from chaku import ChakuError
from chaku.evals.pass_at_k import bootstrap_interval, mean_pass_at_k, pass_at_k


@pytest.mark.parametrize("num_samples", [1, 2, 5, 8])
def test_it_is_the_share_of_subsets(num_samples):
    for num_correct in range(num_samples + 1):
        for k in range(1, num_samples + 1):
            subsets = list(combinations(range(num_samples), k))
            share = sum(any(index < num_correct for index in subset) for subset in subsets) / len(subsets)
            assert pass_at_k(num_samples, num_correct, k) == pytest.approx(share)


def test_the_mean_and_its_errors():
    assert mean_pass_at_k({"a": (2, 1), "b": (2, 0)}, 1) == pytest.approx(0.25)
    with pytest.raises(ChakuError, match="needs 3 samples of every problem, but b has 2"):
        mean_pass_at_k({"a": (3, 1), "b": (2, 0)}, 3)
    with pytest.raises(ChakuError, match="no problems"):
        mean_pass_at_k({}, 1)
    with pytest.raises(ValueError, match="no pass@2"):
        pass_at_k(1, 1, 2)


def test_the_interval_is_that_of_a_share():
    """Of 400 problems half are solved: the normal approximation is close, and the seed is fixed."""
    values = [1.0, 0.0] * 200
    low, high = bootstrap_interval(values)
    assert (low, high) == bootstrap_interval(values)
    assert low == pytest.approx(0.5 - 1.96 * 0.5 / 20, abs=0.006)
    assert high == pytest.approx(0.5 + 1.96 * 0.5 / 20, abs=0.006)
    assert bootstrap_interval([1.0] * 7) == (1.0, 1.0)
    assert bootstrap_interval([0.25]) == (0.25, 0.25)
