"""Results of evaluations: the content of `results.json`, and of `evals/STAGE/BENCHMARK.json` in a run."""

from dataclasses import dataclass, field
from typing import Any

from chaku.record import Record


@dataclass(frozen=True)
class Quantized:
    """The scores of the same model with quantised weights: `results` of a measure, the others of a benchmark.

    `scheme`: int8 or int4.
    """

    scheme: str
    weights_bytes_before: int
    weights_bytes_after: int
    results: dict[str, Any] | None = None
    pass_at_k: dict[int, float] | None = None
    intervals_95: dict[int, tuple[float, float]] | None = None
    measures: dict[str, float] | None = None


@dataclass(frozen=True)
class EvalResult(Record):
    """Every result. `manifest`: the settings, versions and hashes that made it.

    In a run: `stage`, the stage that was measured; `inputs`, the hash of everything that decides the result.
    """

    WHAT = "a result, which `chaku eval` or `chaku run` writes"
    benchmark: str
    manifest: dict[str, Any]
    stage: str | None = field(default=None, kw_only=True)
    inputs: str | None = field(default=None, kw_only=True)
    quantized: Quantized | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class MeasureResult(EvalResult):
    """The result of a measure without samples. Each measure has its own `results`."""

    results: dict[str, Any]


@dataclass(frozen=True)
class SampledResult(EvalResult):
    """A result with samples, which are in samples.jsonl beside it. `pass_at_k`: by k, from 0 to 1."""

    WHAT = "a result with samples, which `chaku eval` writes"
    pass_at_k: dict[int, float]


@dataclass(frozen=True)
class GroupScore:
    """The score of one group of problems."""

    num_problems: int
    pass_at_k: dict[int, float]


@dataclass(frozen=True)
class ShownSample:
    """A sample that the report of a run shows."""

    task_id: str
    index: int
    verdict: str
    passed: bool
    reason: str
    cpu_seconds: float
    prompt: str
    completion: str
    measures: dict[str, float] | None = None


@dataclass(frozen=True)
class BenchmarkResult(SampledResult):
    """The score of a benchmark. `intervals_95`: of pass@k. `num_passed`: problems with a right sample.

    `verdicts`: the number of samples with each verdict. `measures`: means. `notes`: warnings about the score.
    `samples`: a few samples, only in a run.
    """

    intervals_95: dict[int, tuple[float, float]]
    num_problems: int
    num_samples: int
    num_passed: int
    measures: dict[str, float]
    verdicts: dict[str, int]
    by_group: dict[str, GroupScore]
    notes: tuple[str, ...] = ()
    samples: tuple[ShownSample, ...] = ()
