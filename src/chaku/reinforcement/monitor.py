"""Watches whether the model learns to pass what it is shown, and not what is hidden."""

from collections import deque

from chaku.errors import ChakuError

STEPS = 10  # over which the gap is averaged


class GapMonitor:
    """The gap: the share of samples that pass the shown tests, minus the share that pass all tests.

    Some gap is natural, as few tests find few faults. So the mean gap of the last STEPS steps is compared with the
    mean gap of the first STEPS steps.
    """

    def __init__(self, max_gap: float):
        self._max_gap = max_gap
        self._first: list[float] = []
        self._last: deque[float] = deque(maxlen=STEPS)

    def add(self, step: int, gap: float | None) -> None:
        """Add the gap of a step (None: no sample has shown tests). Raises ChakuError when the two have parted."""
        if gap is None:
            return
        if len(self._first) < STEPS:
            self._first.append(gap)
        self._last.append(gap)
        begun, now = sum(self._first) / len(self._first), sum(self._last) / len(self._last)
        if len(self._last) == STEPS and now - begun > self._max_gap:
            raise ChakuError(
                f"step {step + 1}: the model learns to cheat. The share of samples that pass the shown tests but not "
                f"the hidden ones rose from {begun:.0%} to {now:.0%}, which is more than grpo.max_gap "
                f"{self._max_gap:g}. Read the samples of the last steps in the stage's folder samples/, and reward "
                "hidden tests; the last saved state is kept"
            )
