"""Mixtures hold their weights, count without gaps, and permute without repeats."""

import pytest

from chaku.tokens.mixture import permute, source_of


@pytest.mark.parametrize("weights", [(0.85, 0.08, 0.07), (0.75, 0.10, 0.10, 0.05), (1.0,)])
def test_weights_and_counts(weights):
    counts = [0] * len(weights)
    for index in range(5000):
        source, position = source_of(index, weights, seed=4)
        assert position == counts[source]
        counts[source] += 1
    for count, weight in zip(counts, weights, strict=True):
        assert count / 5000 == pytest.approx(weight, abs=0.02)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1000, 1025])
def test_permutation(size):
    order = [permute(index, size, key=9) for index in range(size)]
    assert sorted(order) == list(range(size))
    if size >= 10:
        assert order != list(range(size))
        assert order != [permute(index, size, key=10) for index in range(size)]
