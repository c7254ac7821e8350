"""A model on a benchmark, from the problems to the score."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from chaku.evals.benchmark import Benchmark
from chaku.evals.generate import GREEDY, Sampling, generate_samples
from chaku.evals.judging import check_machine
from chaku.evals.samples import read_samples
from chaku.evals.score import AS_IT_IS, Scoring, score_samples

if TYPE_CHECKING:
    from chaku.evals.endpoint import Endpoint
    from chaku.inference.engine import Engine


def run_benchmark(
    benchmark: Benchmark,
    source: "Engine | Endpoint",
    out: Path | None = None,
    *,
    problems: Path | None = None,
    limit: int | None = None,
    sampling: Sampling = GREEDY,
    scoring: Scoring = AS_IT_IS,
) -> dict[str, Any]:
    """Generate and score; returns what OUT/results.json holds. Without `out` nothing is kept, and nothing resumes.

    `limit` takes the first problems only. Raises ChakuError as `generate_samples` and `score_samples` do; that this
    machine cannot run the programs is said before anything is generated.
    """
    check_machine(benchmark, isolated=scoring.isolated)
    tasks = [task for task in benchmark.load(problems) if task.in_split][:limit]
    with _directory(out) as directory:
        samples, generation = generate_samples(benchmark, tasks, source, sampling, directory)
        return score_samples(benchmark, tasks, samples, directory, scoring, {**generation, "limit": limit})


def score_file(
    benchmark: Benchmark,
    samples: Path,
    out: Path | None = None,
    *,
    problems: Path | None = None,
    scoring: Scoring = AS_IT_IS,
) -> dict[str, Any]:
    """Score a file of samples; see `score_samples`."""
    with _directory(out) as directory:
        return score_samples(benchmark, benchmark.load(problems), read_samples(samples), directory, scoring)


@contextlib.contextmanager
def _directory(out: Path | None) -> Iterator[Path]:
    if out is not None:
        yield out
        return
    with TemporaryDirectory(prefix="chaku-eval-") as temporary:
        yield Path(temporary)
