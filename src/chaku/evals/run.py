"""A model on a benchmark, from the problems to the score."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from chaku.evals.benchmark import Benchmark
from chaku.evals.generate import GREEDY, Sampling, generate_samples
from chaku.evals.samples import choose_tasks, read_samples
from chaku.evals.score import AS_IT_IS, UNKNOWN, Scoring, check_benchmark, choose_ks, score_samples
from chaku.evals.selection import select_tasks

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

    `limit` takes the first problems only. Raises ChakuError as `generate_samples` and `score_samples` do; what keeps
    samples from being scored is said before any is generated.
    """
    loaded = [task for task in benchmark.load(problems) if task.in_split]
    tasks, selection = select_tasks(benchmark, loaded, scoring.since, scoring.until, scoring.exclude)
    tasks = tasks[:limit]
    choose_ks({task.task_id: sampling.num_samples for task in tasks}, scoring.ks)
    with _directory(out) as directory:
        check_benchmark(benchmark, tasks, directory, scoring)
        samples, generation = generate_samples(benchmark, tasks, source, sampling, directory)
        return score_samples(benchmark, tasks, samples, directory, scoring, {**generation, "limit": limit, **selection})


def score_file(
    benchmark: Benchmark,
    samples: Path,
    out: Path | None = None,
    *,
    problems: Path | None = None,
    scoring: Scoring = AS_IT_IS,
) -> dict[str, Any]:
    """Score a file of samples; see `score_samples`. For a benchmark in its chat form, the samples are replies."""
    loaded = benchmark.load(problems)
    tasks, selection = select_tasks(benchmark, loaded, scoring.since, scoring.until, scoring.exclude)
    given = read_samples(samples, replies=benchmark.opening is not None)
    outside = {task.task_id for task in loaded} - {task.task_id for task in tasks}
    given = [sample for sample in given if sample.task_id not in outside]
    if benchmark.opening is not None:
        by_id = {task.task_id: task for task in choose_tasks(tasks, given, partial=scoring.partial)}
        given = [replace(each, completion=benchmark.cut_text(by_id[each.task_id], each.completion)) for each in given]
    with _directory(out) as directory:
        return score_samples(benchmark, tasks, given, directory, scoring, {**UNKNOWN, **selection})


@contextlib.contextmanager
def _directory(out: Path | None) -> Iterator[Path]:
    if out is not None:
        yield out
        return
    with TemporaryDirectory(prefix="chaku-eval-") as temporary:
        yield Path(temporary)
