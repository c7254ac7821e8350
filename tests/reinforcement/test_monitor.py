"""The monitor stops a stage whose reward on shown tests parts from the reward on hidden tests."""

import pytest

from chaku.errors import ChakuError
from chaku.reinforcement.monitor import STEPS, GapMonitor


def test_it_stops_when_shown_and_hidden_tests_part() -> None:
    monitor = GapMonitor(0.2)
    for step in range(STEPS):
        monitor.add(step, 0.1)
    gaps = [0.1 + 0.04 * step for step in range(STEPS)] + [0.46] * STEPS
    with pytest.raises(ChakuError, match=r"step 2\d: the model learns to cheat.* rose from 10% to 3\d%"):
        _add_all(monitor, STEPS, gaps)


def _add_all(monitor: GapMonitor, first: int, gaps: list[float]) -> None:
    for step, gap in enumerate(gaps, first):
        monitor.add(step, gap)


def test_a_gap_that_stays_is_natural() -> None:
    monitor = GapMonitor(0.2)
    for step in range(50):
        monitor.add(step, 0.5 if step % 2 else 0.3)
        monitor.add(step, None)
