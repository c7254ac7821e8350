"""The report's first part: the run's main figures, before and after training."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaku.report.html import Html, element, join
from chaku.report.run import ReportedRun, mapping, number, numbers
from chaku.report.table import fixed, percent, whole

EXERCISES = "exercises"
BASE_MODEL = "model"  # the name, in a recipe's evals, of the checkpoint that the run began with


@dataclass(frozen=True)
class Achievement:
    """One figure. `after`: the result. `before`: a comparable earlier result, if any. `text`: measure and model.

    `benchmark`: whose manifest says how the figure was measured.
    """

    after: str
    text: str
    before: str = ""
    benchmark: str = field(default="", compare=False)


def achieved_section(run: ReportedRun, beside: Sequence[ReportedRun] = ()) -> Html:
    """The figures of this run, then the figures of the runs in `beside`, with links to their reports."""
    parts: list[Html] = [_cards(achievements(run)) or element("p", "Nothing is measured yet.", class_="absent")]
    for other in beside:
        name = other.directory.resolve().name
        page = f"{_relative(other.directory, run.directory)}/report.html"
        link = element("a", "its report", href=page)
        cards = _cards(achievements(other), page) or element("p", "Nothing is measured yet.", class_="absent")
        parts += [element("h3", f"Beside it: {name} (", link, ")"), cards]
    return join(parts)


def achievements(run: ReportedRun) -> list[Achievement]:
    """The figures of a run's results. Figures of zero are left out: the tables below have them."""
    return [*_shop(run), *_programs(run), *_exercises(run), *_text(run), *_infilling(run), *_long_context(run)]


def model_name(run: ReportedRun, stage: str) -> str:
    """A stage's name, or the file name of the model that the run began with."""
    return Path(run.base_model).name if stage == BASE_MODEL and run.base_model else stage


def _shop(run: ReportedRun) -> Iterator[Achievement]:
    results = run.measured("shop")
    if not results:
        return
    (first, before), (last, after) = next(iter(results.items())), list(results.items())[-1]
    if not (share := number(after.get("ex"))):
        return
    asked = whole(mapping(after.get("counts")).get("scored"))
    who = f"by {model_name(run, last)}"
    if first != last:
        who = f"first by {model_name(run, first)}, then, after training, {who}"
    text = f"of {asked} new questions about a shop's database are answered correctly: {who}"
    yield Achievement(percent(share), text, percent(before.get("ex")) if first != last else "", "shop")


def _programs(run: ReportedRun) -> Iterator[Achievement]:
    for benchmark, title in (("first_steps", "small Python functions"), ("humaneval", "HumanEval's functions")):
        scores = run.scores.get(benchmark, {})
        best = max(scores, key=lambda stage: scores[stage].num_passed, default=None)
        if best is not None and scores[best].num_passed:
            figure = f"{whole(scores[best].num_passed)} of {whole(scores[best].num_problems)}"
            yield Achievement(figure, f"{title} by {model_name(run, best)} pass their tests", "", benchmark)


def _exercises(run: ReportedRun) -> Iterator[Achievement]:
    scores = {
        stage: share
        for stage, result in run.scores.get(EXERCISES, {}).items()
        if (share := number(result.pass_at_k.get(1))) is not None
    }
    if len(scores) > 1 and scores[best := max(scores, key=lambda stage: scores[stage])]:
        first = next(iter(scores))
        others = ", ".join(f"{name} {percent(share)}" for name, share in scores.items() if name not in (first, best))
        text = f"of exercises are solved: first by {first}, then by {best}, trained on answers that passed their tests"
        text += f" ({others})" if others else ""
        yield Achievement(percent(scores[best]), text, percent(scores[first]), EXERCISES)


def _text(run: ReportedRun) -> Iterator[Achievement]:
    bits = {
        stage: share
        for stage, result in run.measured("bits_per_byte").items()
        if (share := number(mapping(result.get("overall")).get("bits_per_byte"))) is not None
    }
    if bits and min(bits.values()) > 0:
        first, best = next(iter(bits)), min(bits, key=lambda stage: bits[stage])
        before = fixed(bits[first]) if best != first else ""
        who = f"first by {first}, then by {best}" if best != first else f"by {best}"
        text = f"bits per byte of held-out text, {who}; lower is better"
        yield Achievement(fixed(bits[best]), text, before, "bits_per_byte")


def _infilling(run: ReportedRun) -> Iterator[Achievement]:
    shares = {stage: _best_mode(result) for stage, result in run.measured("infilling").items()}
    best = max(shares, key=lambda stage: shares[stage][0], default=None)
    if best is not None and shares[best][0]:
        share, mode, alone = shares[best]
        text = f"of hidden lines are written exactly by {best} when it sees the text after them ({mode}); "
        text += f"{alone} when it does not"
        yield Achievement(percent(share), text, "", "infilling")


def _best_mode(result: dict[str, Any]) -> tuple[float, str, str]:
    shares = {mode: number(mapping(result.get(mode)).get("exact_match")) or 0.0 for mode in ("psm", "spm")}
    mode = max(shares, key=lambda name: shares[name])
    return shares[mode], mode.upper(), percent(mapping(result.get("left_to_right")).get("exact_match"))


def _long_context(run: ReportedRun) -> Iterator[Achievement]:
    """The stage with the lowest perplexity at the last positions, compared with its nearest measured ancestor."""
    last = {}
    for stage, result in run.measured("perplexity").items():
        values = [value for value in numbers(result.get("perplexity")) if value is not None]
        edges = [edge for edge in numbers(result.get("edges")) if edge is not None]
        if values and edges:
            last[stage] = (values[-1], edges[-1])
    best = min(last, key=lambda stage: last[stage][0], default=None)
    parents = [stage.name for stage in run.ancestors(best) if stage.name in last]
    if best is not None and parents and last[parents[0]][0] > last[best][0]:
        text = f"perplexity at position {whole(last[best][1])} of long files, first of {parents[0]}, then of {best}; "
        text += "lower is better"
        yield Achievement(fixed(last[best][0], 1), text, fixed(last[parents[0]][0], 1), "perplexity")


def how_anchor(benchmark: str) -> str:
    """The anchor of the box that says how a benchmark's numbers were measured."""
    return f"how-{benchmark}"


def _cards(figures: Sequence[Achievement], page: str = "") -> Html | None:
    """`page`: the report that has the figures' manifests; "" is this one."""
    if not figures:
        return None
    cards = [
        element(
            "div",
            element("b", element("s", figure.before, class_="before") if figure.before else None, figure.after),
            element("span", figure.text),
            element("a", "how it was measured", href=f"{page}#{how_anchor(figure.benchmark)}", class_="how"),
            class_="tile",
        )
        for figure in figures
    ]
    return element("div", cards, class_="tiles")


def _relative(directory: Path, start: Path) -> str:
    return Path(os.path.relpath(directory.resolve(), start.resolve())).as_posix()
