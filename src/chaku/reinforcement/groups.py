"""Groups of samples: the prompts that a step draws, the model's replies, and their rewards."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from chaku.reinforcement.rewards import Rewards, Scored
from chaku.reinforcement.tasks import Task
from chaku.tokens.mixture import permute, source_of


@dataclass(frozen=True)
class Reply:
    """A sampled reply. `ids`: with the token that ended it. `is_cut`: it reached the most tokens before its end.

    `logs`: the log-probabilities, in nats, of its tokens under the weights that sampled it, as the trainer computes
    them; `sampler_logs`: as another program that sampled it computes them. None where not measured.
    """

    text: str
    ids: tuple[int, ...]
    is_cut: bool
    logs: tuple[float, ...] | None = None
    sampler_logs: tuple[float, ...] | None = None


Write = Callable[[Sequence[tuple[int, Task]]], Iterator[tuple[int, int, Reply]]]  # yields (prompt, sample, reply)


@dataclass(frozen=True)
class Drawn:
    """The replies to one prompt, before they are judged. `draw`: the number of the draw, which decides the prompt."""

    draw: int
    task: Task
    replies: tuple[Reply, ...]

    def to_plain(self) -> dict[str, Any]:
        """As JSON values."""
        replies = [
            {**asdict(reply), "logs": _packed(reply.logs), "sampler_logs": _packed(reply.sampler_logs)}
            for reply in self.replies
        ]
        return {"draw": self.draw, "task": self.task.key, "prompt": self.task.text, "replies": replies}


@dataclass(frozen=True)
class Group:
    """The judged replies to one prompt."""

    drawn: Drawn
    scored: tuple[Scored, ...]

    @property
    def rewards(self) -> list[float]:
        return [scored.reward for scored in self.scored]

    def counted(self, *, mask_overlong: bool) -> list[int]:
        """The numbers of the samples that have a loss: with `mask_overlong`, those that were not cut."""
        return [number for number, reply in enumerate(self.drawn.replies) if not (mask_overlong and reply.is_cut)]

    def teaches(self, *, mask_overlong: bool) -> bool:
        """Whether the rewards of the samples with a loss differ: otherwise every advantage is 0."""
        return len({self.rewards[number] for number in self.counted(mask_overlong=mask_overlong)}) > 1

    def to_plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {**self.drawn.to_plain(), "scored": [asdict(scored) for scored in self.scored]}


class Draws:
    """An endless order of the tasks of several sets; `draws[i]` depends on the seed and i only."""

    def __init__(self, sets: Mapping[str, Sequence[Task]], weights: Mapping[str, float], seed: int):
        self._sets, self._seed = list(sets.values()), seed
        self._weights = [weights[name] for name in sets]

    def __getitem__(self, draw: int) -> Task:
        source, position = source_of(draw, self._weights, self._seed)
        tasks = self._sets[source]
        epoch, place = divmod(position, len(tasks))
        key = self._seed + 1_000_003 * (source + 1) + 998_244_353 * (epoch + 1)
        return tasks[permute(place, len(tasks), key)]


def draw_groups(asked: Sequence[tuple[int, Task]], write: Write, rewards: Rewards) -> list[Drawn]:
    """The replies to (draw, task) pairs. The replies are judged while the model writes others."""
    replies: list[dict[int, Reply]] = [{} for _ in asked]
    for place, number, reply in write(asked):
        replies[place][number] = reply
        rewards.submit(asked[place][1], reply.text)
    return [
        Drawn(draw, task, tuple(found[number] for number in sorted(found)))
        for (draw, task), found in zip(asked, replies, strict=True)
    ]


def judge(drawn: Sequence[Drawn], rewards: Rewards) -> list[Group]:
    """The groups with their rewards, in their order."""
    waiting = [[rewards.submit(one.task, reply.text) for reply in one.replies] for one in drawn]
    return [Group(one, tuple(wait() for wait in waits)) for one, waits in zip(drawn, waiting, strict=True)]


def drawn_from_plain(plain: Mapping[str, Any], draws: Draws) -> Drawn:
    """What `Drawn.to_plain` wrote."""
    task = draws[plain["draw"]]
    assert task.key == plain["task"], "the stage's inputs decide its tasks"
    replies = [
        Reply(row["text"], tuple(row["ids"]), row["is_cut"], _unpacked(row["logs"]), _unpacked(row["sampler_logs"]))
        for row in plain["replies"]
    ]
    return Drawn(plain["draw"], task, tuple(replies))


def group_from_plain(plain: Mapping[str, Any], draws: Draws) -> Group:
    """What `Group.to_plain` wrote."""
    return Group(drawn_from_plain(plain, draws), tuple(Scored(**scored) for scored in plain["scored"]))


def _packed(logs: Sequence[float] | None) -> str | None:
    return None if logs is None else base64.b64encode(np.asarray(logs, np.float32).tobytes()).decode()


def _unpacked(packed: str | None) -> tuple[float, ...] | None:
    return None if packed is None else tuple(np.frombuffer(base64.b64decode(packed), np.float32).tolist())
