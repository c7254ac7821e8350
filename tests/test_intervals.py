"""95% intervals."""

import pytest

from chaku.intervals import bootstrap_interval, score_interval, wilson_interval


def test_the_interval_is_that_of_a_share():
    """Of 400 problems half are solved: the normal approximation is close, and the seed is fixed."""
    values = [1.0, 0.0] * 200
    low, high = bootstrap_interval(values)
    assert (low, high) == bootstrap_interval(values)
    assert low == pytest.approx(0.5 - 1.96 * 0.5 / 20, abs=0.006)
    assert high == pytest.approx(0.5 + 1.96 * 0.5 / 20, abs=0.006)
    assert bootstrap_interval([1.0] * 7) == (1.0, 1.0)
    assert bootstrap_interval([0.25]) == (0.25, 0.25)


def test_wilsons_interval_of_a_share():
    assert wilson_interval(2, 3) == pytest.approx((0.2077, 0.9385), abs=1e-4)
    assert wilson_interval(0, 20)[0] == 0.0
    assert 0 < wilson_interval(0, 20)[1] < 0.2


def test_four_solved_problems_of_four_do_not_make_a_sure_score():
    low, high = score_interval([1.0] * 4)
    assert low == pytest.approx(0.5101, abs=1e-4)
    assert high == 1.0
    assert score_interval([0.5, 1.0, 0.25]) == bootstrap_interval([0.5, 1.0, 0.25])  # of several samples
