"""Compares two results: whether both were measured alike, and whether their difference is more than chance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from chaku.errors import ChakuError
from chaku.evals.pass_at_k import pass_at_k
from chaku.intervals import resampled_means
from chaku.jsonl import read_lines
from chaku.results import SampledResult

# The manifest's fields that must agree. The seed may differ: another seed measures the same thing again.
PROTOCOL = (
    *("data_sha256", "prompt_form", "mode", "healing", "max_prompt_tokens", "stops", "max_tokens"),
    *("temperature", "top_p", "num_samples"),
    *("timeout", "memory_mb", "isolation", "partial"),
)


@dataclass(frozen=True)
class Scored:
    """A result, with `counts`: task -> (number of samples, number of correct samples)."""

    path: Path
    result: SampledResult
    counts: Mapping[str, tuple[int, int]]
    measures: Mapping[str, Mapping[str, float]]  # name -> task -> mean


def read_scored(path: Path) -> Scored:
    """Read a directory that `chaku eval` wrote, or its results.json. Raises ChakuError for any other path."""
    file = path / "results.json" if path.is_dir() else path
    if not file.is_file():
        raise ChakuError(f"there is no result in {path}; `chaku eval run` and `chaku eval score` write one with --out")
    result = SampledResult.read(file)
    counts: dict[str, tuple[int, int]] = {}
    values: dict[str, dict[str, list[float]]] = {}
    for _, line in read_lines(file.with_name("samples.jsonl")):
        number, correct = counts.get(line["task_id"], (0, 0))
        counts[line["task_id"]] = (number + 1, correct + line["passed"])
        for name, value in line.get("measures", {}).items():
            values.setdefault(name, {}).setdefault(line["task_id"], []).append(value)
    measures = {name: {task: fmean(rate) for task, rate in of.items()} for name, of in values.items()}
    return Scored(file, result, counts, measures)


def protocol_differences(one: Scored, other: Scored) -> list[str]:
    """Descriptions of the differences between two protocols; empty when both were measured alike."""
    pairs: list[tuple[str, Any, Any]] = [("benchmark", one.result.benchmark, other.result.benchmark)]
    pairs += [(name, one.result.manifest.get(name), other.result.manifest.get(name)) for name in PROTOCOL]
    return [
        "the problems or their prompts differ"
        if name == "data_sha256"
        else f"{name} is {_short(first)} in the first, {_short(second)} in the second"
        for name, first, second in pairs
        if first != second
    ]


def compare(one: Scored, other: Scored, *, anyway: bool = False) -> dict[str, Any]:
    """Both scores on the problems in common, their difference, its 95% interval and its p-value.

    Interval and p-value come from a paired bootstrap over the problems. When every problem has one sample, the p-value
    of pass@1 comes from the exact McNemar test. Raises ChakuError for different protocols, with the differences, unless
    `anyway`; and for results without a problem in common.
    """
    differences = protocol_differences(one, other)
    if differences and not anyway:
        raise ChakuError(
            f"{one.path} and {other.path} were not measured alike: {'; '.join(differences)}. Give --anyway to compare "
            "them all the same"
        )
    common = [task for task in one.counts if task in other.counts]
    if not common:
        raise ChakuError(f"{one.path} and {other.path} have no problem in common")
    rows = {}
    for k in sorted(one.result.pass_at_k.keys() & other.result.pass_at_k.keys()):
        first, second = ([pass_at_k(*result.counts[task], k) for task in common] for result in (one, other))
        rows[f"pass@{k}"] = _row(first, second)
    if all(result.counts[task][0] == 1 for result in (one, other) for task in common):
        only_one = sum(one.counts[task][1] > other.counts[task][1] for task in common)
        only_other = sum(one.counts[task][1] < other.counts[task][1] for task in common)
        rows["pass@1"] |= {"p": mcnemar(only_one, only_other), "only_a": only_one, "only_b": only_other}
    for name in one.measures.keys() & other.measures.keys():
        shared = [task for task in common if task in one.measures[name] and task in other.measures[name]]
        rows[name] = _row(
            [one.measures[name][task] for task in shared], [other.measures[name][task] for task in shared]
        )
    return {
        "a": str(one.path),
        "b": str(other.path),
        "benchmark": one.result.benchmark,
        "num_common": len(common),
        "num_only_a": len(one.counts) - len(common),
        "num_only_b": len(other.counts) - len(common),
        "differences": differences,
        "scores": rows,
    }


def _row(first: Sequence[float], second: Sequence[float]) -> dict[str, Any]:
    gains = [after - before for before, after in zip(first, second, strict=True)]
    means = resampled_means(gains)
    low, high = np.percentile(means, [2.5, 97.5])
    p = min(1.0, 2 * min(float(np.mean(means <= 0)), float(np.mean(means >= 0))))
    return {
        "a": fmean(first),
        "b": fmean(second),
        "difference": fmean(gains),
        "interval_95": [float(low), float(high)],
        "p": max(p, 1 / len(means)),
    }


def mcnemar(only_one: int, only_other: int) -> float:
    """The exact two-sided p-value of McNemar's test (binomial with probability 1/2).

    `only_one`, `only_other`: the numbers of problems that only the one or only the other model solves.
    """
    total, fewer = only_one + only_other, min(only_one, only_other)
    return min(1.0, 2 * sum(math.comb(total, number) for number in range(fewer + 1)) / 2**total)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
