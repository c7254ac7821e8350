"""Measures a model on a benchmark: samples the problems and scores the samples; or scores a file of samples."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chaku.console import say
from chaku.evals.benchmark import Benchmark, Task
from chaku.evals.generate import GREEDY, Sampling, generate_samples
from chaku.evals.sample_files import read_raw_samples
from chaku.evals.samples import Sample, choose_tasks, few, identify_samples
from chaku.evals.score import AS_IT_IS, UNKNOWN, Scoring, check_benchmark, choose_ks, score_samples
from chaku.evals.selection import select_tasks
from chaku.evals.whole_programs import judge_whole_programs
from chaku.inference.generator import Generator
from chaku.results import BenchmarkResult


def run_benchmark(
    benchmark: Benchmark,
    generator: Generator,
    out: Path | None = None,
    *,
    problems: Path | None = None,
    limit: int | None = None,
    sampling: Sampling = GREEDY,
    scoring: Scoring = AS_IT_IS,
) -> BenchmarkResult:
    """Generate samples and score them. Without `out`, keeps no files and cannot resume.

    `limit`: take only the first problems. Raises ChakuError as `generate_samples` and `score_samples` do. Checks that
    the benchmark can be scored here before it generates samples.
    """
    loaded = [task for task in benchmark.load(problems) if task.in_split]
    tasks, selection = select_tasks(benchmark, loaded, scoring.since, scoring.until, scoring.exclude)
    tasks = tasks[:limit]
    choose_ks({task.task_id: sampling.num_samples for task in tasks}, scoring.ks)
    with _directory(out) as kept:
        directory = Path(kept)
        checked = check_benchmark(benchmark, tasks, directory, scoring)
        samples, generation = generate_samples(benchmark, tasks, generator, sampling, directory)
        about = {**generation, "limit": limit, **selection}
        return score_samples(benchmark, tasks, samples, directory, scoring, about, checked)


def score_file(
    benchmark: Benchmark,
    samples: Path,
    out: Path | None = None,
    *,
    problems: Path | None = None,
    scoring: Scoring = AS_IT_IS,
) -> BenchmarkResult:
    """Score a file or folder of samples (see `sample_files`) as `score_samples` does.

    For a benchmark in its chat form, the samples are replies. With `partial`, leaves out and counts samples of unknown
    problems, which a newer version of the benchmark may have dropped.
    """
    loaded = benchmark.load(problems)
    tasks, selection = select_tasks(benchmark, loaded, scoring.since, scoring.until, scoring.exclude)
    given, record = _read(benchmark, samples, loaded, partial=scoring.partial)
    outside = {task.task_id for task in loaded} - {task.task_id for task in tasks}
    given = [sample for sample in given if sample.task_id not in outside]
    by_id = {task.task_id: task for task in choose_tasks(tasks, given, partial=scoring.partial)}
    if benchmark.opening is not None:
        given = [replace(text, completion=benchmark.cut_text(by_id[text.task_id], text.completion)) for text in given]
    else:
        benchmark, tasks, given, record["num_whole_programs"] = judge_whole_programs(benchmark, tasks, given)
    if num_programs := record.get("num_whole_programs"):
        say(f"{benchmark.name}: {num_programs} of {len(given)} samples are whole programs ({record['samples_form']})")
    with _directory(out) as kept:
        return score_samples(benchmark, tasks, given, Path(kept), scoring, {**UNKNOWN, **selection, **record})


def _read(
    benchmark: Benchmark, path: Path, tasks: Sequence[Task], *, partial: bool
) -> tuple[list[Sample], dict[str, Any]]:
    """The samples with the problems' ids, and the file's format. `partial`: leave out samples of unknown problems."""
    raw = read_raw_samples(path, replies=benchmark.opening is not None)
    samples = identify_samples(raw, tasks, benchmark.name)
    record: dict[str, Any] = {"samples_form": ", ".join(dict.fromkeys(sample.form for sample in raw))}
    ids = {task.task_id for task in tasks}
    known = [sample for sample in samples if sample.task_id in ids]
    if partial and known and len(known) < len(samples):
        unknown = sorted({sample.task_id for sample in samples} - ids)
        say(f"{benchmark.name}: LEFT OUT: samples of {len(unknown)} problems that are not in the set: {few(unknown)}")
        record["unknown_problems"] = unknown
        samples = known
    return samples, record


def _directory(out: Path | None) -> AbstractContextManager[str | Path]:
    return nullcontext(out) if out else TemporaryDirectory(prefix="chaku-eval-")
