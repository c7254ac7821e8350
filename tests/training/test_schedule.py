"""The learning rate of every step: warm-up, then a cosine, a line, or a plateau with a decay."""

import math

import pytest

from chaku.training.config import TrainingConfig
from chaku.training.schedule import decay_start, learning_rate


def test_paper_schedule():
    config = TrainingConfig(learning_rate=3e-4, warmup_steps=1000)
    steps = 119_210  # 500B tokens in batches of 4M
    assert learning_rate(0, steps, config) == pytest.approx(3e-7)
    assert learning_rate(999, steps, config) == pytest.approx(3e-4)
    assert learning_rate(1000, steps, config) == pytest.approx(3e-4)
    assert learning_rate((1000 + steps - 1) // 2, steps, config) == pytest.approx((3e-4 + 1e-5) / 2, rel=1e-3)
    assert learning_rate(steps - 1, steps, config) == pytest.approx(1e-5)


def rates(num_steps, **settings):
    config = TrainingConfig(learning_rate=1.0, warmup_steps=2, min_learning_rate_ratio=0.2, **settings)
    return [learning_rate(step, num_steps, config) for step in range(num_steps)]


def test_every_schedule_to_the_number():
    cosine = [0.5, 1.0, 1.0] + [0.6 + 0.4 * math.cos(math.pi * k / 17) for k in range(1, 18)]
    assert rates(20) == pytest.approx(cosine, abs=1e-12)
    assert rates(20, schedule="linear") == pytest.approx([0.5, *(1 - 0.8 * max(0, k) / 17 for k in range(-1, 18))])
    stable = rates(20, schedule="wsd", decay_share=0.2)
    assert stable[:16] == [0.5] + [1.0] * 15
    assert stable[16:] == pytest.approx([0.6, 0.2 + 0.8 * (1 - math.sqrt(0.5)), 0.2 + 0.8 * (1 - math.sqrt(0.75)), 0.2])


@pytest.mark.parametrize("schedule", ["cosine", "linear", "wsd"])
@pytest.mark.parametrize("num_steps", [2, 7, 50])
def test_every_schedule_ends_at_its_minimum_and_never_rises_after_the_warm_up(schedule, num_steps):
    found = rates(num_steps, schedule=schedule)
    assert found[-1] == pytest.approx(0.2)
    falling = found[found.index(max(found)) :]
    assert falling == sorted(falling, reverse=True)


def test_a_longer_stage_has_the_same_rates_up_to_the_decay_of_the_shorter_one():
    config = TrainingConfig(schedule="wsd", warmup_steps=2)
    first = decay_start(40, config)
    assert first == 36
    assert rates(40, schedule="wsd")[:first] == rates(80, schedule="wsd")[:first]


def test_short_stages_still_reach_their_peak():
    config = TrainingConfig(learning_rate=1.0, warmup_steps=1000)
    rates = [learning_rate(step, 20, config) for step in range(20)]
    assert max(rates) == 1.0
    assert rates[-1] == pytest.approx(1 / 30)
    assert learning_rate(0, 1, config) == 1.0
