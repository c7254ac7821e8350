"""For tests that run programs: whether they can be run here, and judging completions of a benchmark."""

import os
from pathlib import Path

import pytest

from chaku.evals.judging import Judge, Limits, why_not_here

BENCHMARKS = os.environ.get("CHAKU_BENCHMARKS")


def judge(benchmark, pairs, tmp_path, num_workers=2, patience=1):
    """Judgements of (task, completion) pairs. Skips, loudly, where the benchmark's programs cannot be run.

    `patience`: a multiple of the benchmark's time limit, for right programs that come near it on a busy machine.
    """
    if problem := why_not_here(benchmark):
        pytest.skip(f"programs of {benchmark.name} are NOT run: {problem}")
    limits = Limits(patience * benchmark.timeout, benchmark.memory_mb, num_workers)
    return Judge(benchmark, limits, tmp_path / "verdicts.jsonl").judge(pairs, benchmark.name)


def benchmark_file(name):
    """A real file of problems. Skips, loudly, where there is none."""
    if not BENCHMARKS:
        pytest.skip(f"CHAKU_BENCHMARKS is not set: {name} is NOT tested")
    path = Path(BENCHMARKS) / name
    if not path.exists():
        pytest.skip(f"{path} does not exist: it is NOT tested")
    return path
