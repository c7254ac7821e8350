"""pass@k against its definition: the share of k-subsets with a correct sample."""

from itertools import combinations

import pytest

from chaku import ChakuError
from chaku.evals.pass_at_k import pass_at_k, pass_at_k_by_problem


@pytest.mark.parametrize("num_samples", [1, 2, 5, 8])
def test_it_is_the_share_of_subsets(num_samples):
    for num_correct in range(num_samples + 1):
        for k in range(1, num_samples + 1):
            subsets = list(combinations(range(num_samples), k))
            share = sum(any(index < num_correct for index in subset) for subset in subsets) / len(subsets)
            assert pass_at_k(num_samples, num_correct, k) == pytest.approx(share)


def test_every_problem_has_an_estimate_or_the_mistake_is_said():
    assert pass_at_k_by_problem({"a": (2, 1), "b": (2, 0)}, 1) == [0.5, 0.0]
    with pytest.raises(ChakuError, match="needs 3 samples of every problem, but b has 2"):
        pass_at_k_by_problem({"a": (3, 1), "b": (2, 0)}, 3)
    with pytest.raises(ChakuError, match="no problems"):
        pass_at_k_by_problem({}, 1)
    with pytest.raises(ValueError, match="no pass@2"):
        pass_at_k(1, 1, 2)
