"""Cosine with warm-up, down to a thirtieth."""

import pytest

from chaku.training.config import TrainingConfig
from chaku.training.schedule import learning_rate


def test_paper_schedule():
    config = TrainingConfig(learning_rate=3e-4, warmup_steps=1000)
    steps = 119_210  # 500B tokens in batches of 4M
    assert learning_rate(0, steps, config) == pytest.approx(3e-7)
    assert learning_rate(999, steps, config) == pytest.approx(3e-4)
    assert learning_rate(1000, steps, config) == pytest.approx(3e-4)
    assert learning_rate((1000 + steps - 1) // 2, steps, config) == pytest.approx((3e-4 + 1e-5) / 2, rel=1e-3)
    assert learning_rate(steps - 1, steps, config) == pytest.approx(1e-5)


def test_short_stages_still_reach_their_peak():
    config = TrainingConfig(learning_rate=1.0, warmup_steps=1000)
    rates = [learning_rate(step, 20, config) for step in range(20)]
    assert max(rates) == 1.0
    assert rates[-1] == pytest.approx(1 / 30)
    assert learning_rate(0, 1, config) == 1.0
