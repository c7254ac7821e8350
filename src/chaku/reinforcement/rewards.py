"""The protocol of rewards, and the sum of several."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from chaku.reinforcement.tasks import Task


@dataclass(frozen=True)
class Judged:
    """What a reward says about a sample. `value`: usually from 0 to 1. `solved`: whether it counts as a pass.

    `shown`: whether it passes what the prompt shows, None where nothing is known of that. `reason`: why it is not
    solved; empty for a pass.
    """

    value: float
    solved: bool
    reason: str = ""
    shown: bool | None = None


Waiting = Callable[[], Judged]  # waits for a judgement that has been asked for


class Reward(Protocol):
    """Judges samples; safe to call from one thread. `close` ends its processes."""

    def problem(self, task: Task) -> str:
        """Why a task cannot be judged by this reward, in words; "" for a usable task."""
        ...

    def submit(self, task: Task, text: str) -> Waiting:
        """Ask for the judgement of a sample, without waiting for it. Raises ChakuError when judging fails."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Scored:
    """A sample's reward: the weighted sum. `parts`: the value of each reward by name. The rest is of the first."""

    reward: float
    parts: Mapping[str, float]
    solved: bool
    shown: bool | None
    reason: str


class Rewards:
    """Several rewards with weights, as (name, weight, reward). Equal replies to a task are judged once a step."""

    def __init__(self, rewards: Sequence[tuple[str, float, Reward]]):
        self.rewards = rewards
        self.num_judged = 0
        self._waiting: dict[tuple[str, str], Sequence[Waiting]] = {}
        self._known: dict[tuple[str, str], Scored] = {}

    def problem(self, task: Task) -> str:
        """The first reason why a task cannot be judged; "" for a usable task."""
        return next(filter(None, (reward.problem(task) for _, _, reward in self.rewards)), "")

    def submit(self, task: Task, text: str) -> Callable[[], Scored]:
        """Ask for a sample's reward, without waiting for it."""
        key = task.key, text
        if key not in self._known and key not in self._waiting:
            self._waiting[key] = [reward.submit(task, text) for _, _, reward in self.rewards]
            self.num_judged += 1

        def wait() -> Scored:
            if key not in self._known:
                self._known[key] = self._sum([judgement() for judgement in self._waiting.pop(key)])
            return self._known[key]

        return wait

    def forget(self) -> None:
        """Drop the known judgements: a later step rarely repeats them, and they take memory."""
        self._known.clear()

    def close(self) -> None:
        with ExitStack() as stack:
            for _, _, reward in self.rewards:
                stack.callback(reward.close)

    def _sum(self, judged: Sequence[Judged]) -> Scored:
        total = sum(weight * one.value for (_, weight, _), one in zip(self.rewards, judged, strict=True))
        parts = {name: one.value for (name, _, _), one in zip(self.rewards, judged, strict=True)}
        first = judged[0]
        return Scored(total, parts, first.solved, first.shown, first.reason)
