"""Plans what a GRPO stage samples and judges, with the rates that an earlier run measured."""

from dataclasses import dataclass
from pathlib import Path

from chaku.errors import ChakuError
from chaku.training.grpo_config import GrpoConfig
from chaku.training.metrics import read_metrics

RATES = ("num_samples", "num_verdicts", "num_tokens", "seconds_sampling", "seconds_judging")


@dataclass(frozen=True)
class SamplingRates:
    """Means over the steps of a run's GRPO stages. `seconds_per_verdict`: how long a verdict lets the stage wait."""

    tokens_per_sample: float
    seconds_per_sample: float
    seconds_per_verdict: float


@dataclass(frozen=True)
class SamplingPlan:
    """What the steps of a stage sample: `samples`, when every step needs one round, and at most `most_samples`.

    There are as many verdicts at most. `tokens`: of `most_samples`. `hours`, `most_hours`: None without measured rates.
    The samples of held-out tasks and of `filter_samples` come on top.
    """

    samples: int
    most_samples: int
    tokens: int
    hours: float | None = None
    most_hours: float | None = None


def measured_rates(run: Path) -> SamplingRates:
    """The rates of a run's GRPO stages. Raises ChakuError for a run without a step of such a stage."""
    lines = [line for path in sorted(run.glob("stages/*/metrics.jsonl")) for line in read_metrics(path)]
    steps = [line for line in lines if all(name in line for name in RATES)]
    if not steps:
        raise ChakuError(f"{run} has no step of a stage with `grpo`; name the folder of a run that has begun one")
    samples, verdicts, tokens, sampling, judging = (sum(line[name] for line in steps) for name in RATES)
    return SamplingRates(tokens / samples, sampling / samples, judging / max(verdicts, 1))


def plan_sampling(grpo: GrpoConfig, rates: SamplingRates | None = None) -> SamplingPlan:
    """The samples of a stage, within its limits of samples."""
    samples = grpo.steps * grpo.prompts * grpo.group_size
    most = samples * grpo.rounds
    if grpo.limits.samples is not None:
        samples, most = min(samples, grpo.limits.samples), min(most, grpo.limits.samples)
    if rates is None:
        return SamplingPlan(samples, most, most * grpo.max_tokens)
    hours_per_sample = (rates.seconds_per_sample + rates.seconds_per_verdict) / 3600
    tokens = round(most * min(rates.tokens_per_sample, grpo.max_tokens))
    return SamplingPlan(samples, most, tokens, samples * hours_per_sample, most * hours_per_sample)
