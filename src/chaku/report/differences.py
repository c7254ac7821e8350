"""What two runs differ in: their recipes, their scores on the same benchmarks, and how these were measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chaku.errors import ChakuError
from chaku.evals.compare import PROTOCOL, compare, read_scored
from chaku.report.run import ReportedRun, mapping, number, numbers

# Entries of a manifest that say how a measure without samples was made. Others (hashes of the model, versions) differ
# between any two runs.
_PROTOCOL_OF_MEASURES = (*PROTOCOL, "sequence_length", "num_examples", "max_bytes_per_language", "corpus_sha256")


@dataclass(frozen=True)
class ScorePair:
    """One figure of one stage in both runs. `interval`: the 95% interval of the difference, where it is known.

    `better`: +1 where more is better, -1 where less is. `unlike`: how the two were measured differently.
    """

    benchmark: str
    figure: str
    stage: str
    one: float
    other: float
    better: int
    is_share: bool
    interval: tuple[float, float] | None = None
    unlike: tuple[str, ...] = ()


def settings(recipe: object, path: str = "") -> dict[str, str]:
    """A recipe's settings by their full key; lists and empty values are one value."""
    if isinstance(recipe, dict) and recipe:
        found: dict[str, str] = {}
        for key, value in recipe.items():
            found |= settings(value, f"{path}.{key}".strip("."))
        return found
    return {path: str(recipe)}


def different_settings(one: object, other: object) -> list[tuple[str, str | None, str | None]]:
    """(key, value in the one, value in the other) of every setting that differs; None: the recipe has no such key."""
    first, second = settings(one), settings(other)
    keys = dict.fromkeys((*first, *second))
    return [
        (key, first.get(key), second.get(key))
        for key in keys
        # A setting without a value, which an earlier version does not know, is no difference.
        if first.get(key) != second.get(key) and {first.get(key), second.get(key)} != {None, "None"}
    ]


def score_pairs(one: ReportedRun, other: ReportedRun) -> list[ScorePair]:
    """Every figure that both runs have for stages of the same name: benchmarks first, then held-out measures."""
    return [*_programs(one, other), *_measures(one, other)]


def _programs(one: ReportedRun, other: ReportedRun) -> Iterator[ScorePair]:
    for benchmark in one.scores:
        for stage, first in one.scores[benchmark].items():
            second = other.scores.get(benchmark, {}).get(stage)
            if second is None or 1 not in first.pass_at_k or 1 not in second.pass_at_k:
                continue
            interval, unlike = _in_pairs(one, other, stage, benchmark)
            before, after = first.pass_at_k[1], second.pass_at_k[1]
            yield ScorePair(benchmark, "pass@1", stage, before, after, 1, True, interval, unlike)


def _in_pairs(
    one: ReportedRun, other: ReportedRun, stage: str, benchmark: str
) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """The interval from the samples of both runs, and what was measured differently."""
    try:
        scored = [read_scored(run.directory / "evals" / stage / benchmark) for run in (one, other)]
        result = compare(*scored, anyway=True)
    except (ChakuError, OSError):  # a run without its samples: the scores alone are shown
        return None, ()
    low, high = result["scores"]["pass@1"]["interval_95"]
    return (low, high), tuple(result["differences"])


def _measures(one: ReportedRun, other: ReportedRun) -> Iterator[ScorePair]:
    for benchmark in one.measures:
        for stage, first in one.measures[benchmark].items():
            second = other.measures.get(benchmark, {}).get(stage)
            if second is None:
                continue
            unlike = tuple(
                f"{key} is {first.manifest.get(key)} in the first, {second.manifest.get(key)} in the second"
                for key in _PROTOCOL_OF_MEASURES
                if first.manifest.get(key) != second.manifest.get(key)
            )
            after = dict(_figures(benchmark, second.results))
            for figure, before in _figures(benchmark, first.results):
                if figure in after:
                    better, is_share = (-1, False) if benchmark in ("bits_per_byte", "perplexity") else (1, True)
                    yield ScorePair(benchmark, figure, stage, before, after[figure], better, is_share, None, unlike)


def _figures(benchmark: str, results: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """(name, value) of a measure's main figures."""
    found: list[tuple[str, object]] = []
    if benchmark == "bits_per_byte":
        found = [("bits per byte", mapping(results.get("overall")).get("bits_per_byte"))]
    elif benchmark == "infilling":
        modes = {"psm": "lines, PSM", "spm": "lines, SPM", "left_to_right": "lines, left to right"}
        found = [(name, mapping(results.get(mode)).get("exact_match")) for mode, name in modes.items()]
    elif benchmark == "perplexity":
        edges, values = numbers(results.get("edges")), numbers(results.get("perplexity"))
        ends = edges[1:] if len(edges) == len(values) + 1 else edges
        read = [(f"perplexity up to token {end:,.0f}", value) for end, value in zip(ends, values, strict=False) if end]
        found = [*read[-1:]]  # the end of the context, where a setting shows; the runs' own reports have the rest
    elif benchmark == "shop":
        found = [("execution accuracy", results.get("ex")), ("on variants too", results.get("test_suite"))]
    for name, figure in found:
        if (value := number(figure)) is not None:
            yield name, value
