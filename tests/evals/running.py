"""For tests that run programs: whether they can be run here, and judging completions of a benchmark."""

import builtins
import keyword
import os
import re
from pathlib import Path

import pytest

from chaku.evals.judging import Judge, Limits, why_not_here

BENCHMARKS = os.environ.get("CHAKU_BENCHMARKS")
WORDS = {*keyword.kwlist, *dir(builtins)}

# A test of real references runs twice: on a sample always, on all of them with CHAKU_ALL_TESTS=1.
sample_or_all = pytest.mark.parametrize("choose", ["every_form", pytest.param("all", marks=pytest.mark.slow)])


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


def chosen(choose, tasks):
    """All tasks, or a sample with every form: the first task with each keyword, builtin and module of the references.

    In the file's order, a task is taken when its reference has such a word that no task before it has. Tests (of a task
    that has `test_list`) count as part of the reference.
    """
    if choose == "all":
        return tasks
    seen, sample = set(), []
    for task in tasks:
        found = _words("\n".join((*task.references, *task.data.get("test_list", ()))))
        if not found <= seen:
            sample.append(task)
            seen |= found
    return sample


def _words(code):
    modules = re.findall(r"^\s*(?:from|import) ([\w.]+)", code, re.MULTILINE)
    return WORDS.intersection(re.findall(r"[A-Za-z_]\w*", code)) | set(modules)
