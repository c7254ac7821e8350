"""Makes the batches of a GRPO stage: samples groups with the weights so far, judges them, journals and packs them."""

import dataclasses
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from chaku.console import say
from chaku.errors import ChakuError
from chaku.evals.pass_at_k import pass_at_k
from chaku.files import read_json, write_json
from chaku.model.llama import Llama
from chaku.reinforcement.batch import logs_of, pack, place_samples
from chaku.reinforcement.groups import Drawn, Draws, Group, draw_groups, judge
from chaku.reinforcement.monitor import GapMonitor
from chaku.reinforcement.rewards import Rewards
from chaku.reinforcement.sample_journal import FOLDER, SampleJournal
from chaku.reinforcement.tasks import Task
from chaku.reinforcement.writer import Writer
from chaku.training.config import TrainingConfig
from chaku.training.grpo import LimitReached, SampleBatch, measured_log_probabilities
from chaku.training.grpo_config import PASS_AT, GrpoConfig

RATES = "pass-rates.json"  # in the folder of the samples
HELDOUT_SEED = 0  # the same draws at every measurement


class Rollouts:
    """Implements `SampleSource`. `sets`, `heldout`: tasks by the name of the set; `weights`: of the sets, in draws.

    `initial`: the model that the stage begins with, where `config.beta` needs it. `directory`: the stage's folder.
    """

    def __init__(
        self,
        model: Llama,
        writer: Writer,
        rewards: Rewards,
        sets: Mapping[str, Sequence[Task]],
        weights: Mapping[str, float],
        heldout: Mapping[str, Sequence[Task]],
        config: GrpoConfig,
        training: TrainingConfig,
        sequence_length: int,
        directory: Path,
        seed: int,
        initial: Llama | None = None,
    ):
        self.config, self.sequence_length, self.seed = config, sequence_length, seed
        self._model, self._initial, self._training = model, initial, training
        self._device = model.lm_head.weight.device
        self._writer, self._rewards, self._heldout = writer, rewards, heldout
        self._directory, self._journal = directory, SampleJournal(directory)
        self._monitor = GapMonitor(config.max_gap)
        self._spent: dict[str, float] = defaultdict(float)  # the cost so far, as `LimitsConfig` counts it
        if config.filter_samples:
            sets = {name: self._filtered(name, tasks) for name, tasks in sets.items()}
        self._draws = Draws(sets, weights, seed)

    def batches(self, start: int) -> Iterator[SampleBatch]:
        """As `SampleSource.batches`. Raises ChakuError when the rewards on shown and on hidden tests have parted."""
        for step in range(start):
            head = self._journal.head(step)
            self._monitor.add(step, head["notes"].get("gap") if head else None)
            self._spent.update(head.get("spent", {}) if head else {})
        step = start
        while True:
            self._writer.weights_changed()
            if self._journal.head(step) is None:
                self._check_limits()
                self._collect(step)
            head = self._journal.head(step)
            assert head is not None
            self._monitor.add(step, head["notes"].get("gap"))
            self._spent.update(head.get("spent", {}))
            if self.config.off_policy_steps and self._journal.head(step + 1) is None:
                self._draw(step + 1, head["next_draw"])
            yield self._batch(step, head["notes"])
            step += 1

    def measure(self) -> dict[str, dict[str, float]]:
        """By set, the share of held-out tasks that greedy replies solve; with `heldout_samples`, pass@1 and pass@k."""
        self._writer.weights_changed()
        found: dict[str, dict[str, float]] = defaultdict(dict)
        for name, tasks in self._heldout.items():
            found["heldout_pass_rate"][name] = fmean(self._solved(tasks, 1, 0.0))
            if number := self.config.heldout_samples:
                counts = self._solved(tasks, number, self.config.temperature)
                for k in (1, PASS_AT):
                    found[f"heldout_pass_at_{k}"][name] = fmean(pass_at_k(number, count, k) for count in counts)
        self._rewards.forget()
        return dict(found)

    def _solved(self, tasks: Sequence[Task], num_samples: int, temperature: float) -> list[int]:
        """The number of samples of each held-out task that solve it."""
        started = time.monotonic()
        write = self._writer.writing(
            num_samples=num_samples, temperature=temperature, max_tokens=self.config.max_tokens, seed=HELDOUT_SEED
        )
        groups = judge(draw_groups(list(enumerate(tasks)), write, self._rewards), self._rewards)
        self._spend(groups, started)
        return [sum(one.solved for one in group.scored) for group in groups]

    def close(self) -> None:
        """End the processes that judge."""
        self._rewards.close()

    def _batch(self, step: int, notes: dict[str, float]) -> SampleBatch:
        batch = pack(self._journal.groups(step, self._draws), self.config, self.sequence_length, step, notes)
        if self._initial is not None and len(batch.tokens):
            initial = measured_log_probabilities(self._initial, batch, self.config, self._training, self._device)
            batch = dataclasses.replace(batch, initial=initial)
        return batch

    def _spend(self, groups: Sequence[Group], started: float) -> None:
        """Count what groups cost that were begun at `started`."""
        for name, number in cost(groups).items():
            self._spent[name] += number
        self._spent["hours"] += (time.monotonic() - started) / 3600

    def _check_limits(self) -> None:
        for name, limit in dataclasses.asdict(self.config.limits).items():
            if limit is not None and self._spent[name] >= limit:
                cost_so_far = f"its sampling has cost {self._spent[name]:.6g} {name}"
                raise LimitReached(f"{cost_so_far}, and grpo.limits.{name} is {limit:g} (raise it)")

    def _collect(self, step: int) -> None:
        """Sample and judge a step's groups, in rounds until enough of them teach something, and journal them."""
        config, started = self.config, time.monotonic()
        before = self._journal.head(step - 1) if step else None
        first = before["next_draw"] if before else 0
        groups: list[Group] = []
        writing = 0.0
        for number in range(config.rounds):
            begun = time.monotonic()
            drawn = self._draw(step, first) if number == 0 else self._sample(first)
            writing += time.monotonic() - begun
            groups += judge(drawn, self._rewards)
            first += config.prompts
            teaching = [group for group in groups if group.teaches(mask_overlong=config.mask_overlong)]
            if len(teaching) >= config.prompts:
                break
        self._rewards.forget()
        kept = teaching[: config.prompts] or groups[: config.prompts]
        dropped = [group for group in groups if not any(group is other for other in kept)]
        notes = summary(groups, kept, len(teaching))
        notes["seconds_sampling"], notes["seconds_judging"] = writing, time.monotonic() - started - writing
        self._spend(groups, started)
        self._journal.write(step, first, notes, dict(self._spent), kept, dropped)

    def _draw(self, step: int, first: int) -> list[Drawn]:
        """The replies of a step's first round; those that were drawn ahead, if there are any."""
        if (drawn := self._journal.drawn(step, self._draws)) is not None:
            return drawn
        drawn = self._sample(first)
        if self.config.off_policy_steps:
            self._journal.write_drawn(step, drawn)
        return drawn

    def _sample(self, first: int) -> list[Drawn]:
        config = self.config
        asked = [(draw, self._draws[draw]) for draw in range(first, first + config.prompts)]
        write = self._writer.writing(
            num_samples=config.group_size, temperature=config.temperature, max_tokens=config.max_tokens, seed=self.seed
        )
        drawn = draw_groups(asked, write, self._rewards)
        return self._with_logs(drawn) if config.off_policy_steps or self._writer.measures else drawn

    def _with_logs(self, drawn: Sequence[Drawn]) -> list[Drawn]:
        """The replies with their log-probabilities under the present weights."""
        flat = [(one, number) for one in drawn for number in range(len(one.replies))]
        batch, places = place_samples(flat, self.sequence_length)
        values = measured_log_probabilities(self._model, batch, self.config, self._training, self._device)
        logs = iter(logs_of(values, places))
        return [
            dataclasses.replace(
                one, replies=tuple(dataclasses.replace(reply, logs=next(logs)) for reply in one.replies)
            )
            for one in drawn
        ]

    def _filtered(self, name: str, tasks: Sequence[Task]) -> list[Task]:
        """The tasks whose pass rate under the initial model is in `pass_rate`; the rates are measured once."""
        path = self._directory / FOLDER / f"{name}.{RATES}"
        if not path.exists():
            started = time.monotonic()
            write = self._writer.writing(
                num_samples=self.config.filter_samples,
                temperature=self.config.temperature,
                max_tokens=self.config.max_tokens,
                seed=self.seed + 1,
            )
            groups = judge(draw_groups(list(enumerate(tasks)), write, self._rewards), self._rewards)
            self._rewards.forget()
            self._spend(groups, started)
            write_json(path, {group.drawn.task.key: fmean(one.solved for one in group.scored) for group in groups})
        rates = read_json(path)
        low, high = self.config.pass_rate
        kept = [task for task in tasks if low <= rates[task.key] <= high]
        say(f"{name}: {len(kept)} of {len(tasks)} tasks have a pass rate from {low:g} to {high:g}")
        if not kept:
            raise ChakuError(
                f"no task of the set {name} has a pass rate from {low:g} to {high:g} (mean "
                f"{fmean(rates.values()):.2f}); widen grpo.pass_rate, or use other tasks"
            )
        return kept


def cost(groups: Sequence[Group]) -> dict[str, int]:
    """What groups cost, as `LimitsConfig` counts it: samples, tokens and verdicts."""
    replies = [group.drawn.replies for group in groups]
    return {
        "samples": sum(map(len, replies)),
        "tokens": sum(len(reply.ids) for of_group in replies for reply in of_group),
        "verdicts": sum(len({reply.text for reply in of_group}) for of_group in replies),
    }


def summary(groups: Sequence[Group], kept: Sequence[Group], num_teaching: int) -> dict[str, float]:
    """The values of a step to log, over all samples, those of dropped groups included."""
    scored = [one for group in groups for one in group.scored]
    replies = [reply for group in groups for reply in group.drawn.replies]
    notes = {
        "reward": fmean(one.reward for one in scored),
        "solved": fmean(one.solved for one in scored),
        "length": fmean(len(reply.ids) for reply in replies),
        "cut_share": fmean(reply.is_cut for reply in replies),
        "dropped_share": 1 - num_teaching / len(groups),
        "num_groups": float(len(kept)),
        **{f"num_{name}": float(number) for name, number in cost(groups).items()},
    }
    for name in scored[0].parts:
        notes[f"reward_{name}"] = fmean(one.parts[name] for one in scored)
    if known := [one for one in scored if one.shown is not None]:
        notes["shown"] = fmean(bool(one.shown) for one in known)
        notes["gap"] = fmean(bool(one.shown) and not one.solved for one in known)
    return notes
