"""Where a model breaks: execution accuracy by change of the question and by kind of query, and the drop in pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from sqlglot import exp

from chaku.intervals import bootstrap_interval, wilson_interval
from chaku.sql.execute.parse import Refused, parse

ALL = "all"
COLUMNS = ["change", "kind of query", "answers", "right", "95% interval", "drop in pairs", "95% interval", "broken",
           "mended"]  # fmt: skip
LEGEND = (
    "`drop in pairs`: the share of right answers to the unchanged questions minus the share after the change. "
    "`broken`: pairs that are right only before the change; `mended`: right only after it."
)
MIN_ANSWERS = 5  # a kind of query with fewer answers is not listed: its share says nothing


@dataclass(frozen=True)
class Answered:
    """A question that was asked and scored: its gold query, its hardness, and whether the answer is right.

    `unchanged`: whether the unchanged question was answered rightly; None for a question without a pair.
    """

    gold: str
    hardness: str | None
    right: bool
    unchanged: bool | None = None


@dataclass(frozen=True)
class Breakage:
    """The answers to the questions of one `change` and one `kind` of query.

    `drop`: the share of right answers before the change minus the share after it, over `pairs` questions, with a paired
    bootstrap interval. `broken`: pairs that are right only before. `mended`: pairs that are right only after.
    """

    change: str
    kind: str
    answers: int
    right: int
    ex: float
    interval_95: tuple[float, float]
    pairs: int = 0
    drop: float | None = None
    drop_interval_95: tuple[float, float] | None = None
    broken: int = 0
    mended: int = 0


def breakages(answered: Mapping[str, Sequence[Answered]]) -> list[Breakage]:
    """The figures of each change over all its answers and by kind of query, the worst first.

    The largest drop comes first; figures without pairs follow, the lowest share of right answers first.
    """
    rows = []
    for change, answers in answered.items():
        by_kind: dict[str, list[Answered]] = {ALL: list(answers)}
        for answer in answers:
            for kind in kinds_of(answer.gold, answer.hardness):
                by_kind.setdefault(kind, []).append(answer)
        rows += [
            _breakage(change, kind, group)
            for kind, group in by_kind.items()
            if len(group) >= MIN_ANSWERS or (kind == ALL and group)
        ]
    return sorted(rows, key=lambda row: (row.drop is None, -(row.drop or 0.0), row.ex))


def _breakage(change: str, kind: str, answers: Sequence[Answered]) -> Breakage:
    right = sum(answer.right for answer in answers)
    pairs = [(answer.unchanged, answer.right) for answer in answers if answer.unchanged is not None]
    drops = [float(before) - float(after) for before, after in pairs]
    return Breakage(
        change,
        kind,
        len(answers),
        right,
        right / len(answers),
        wilson_interval(right, len(answers)),
        len(pairs),
        fmean(drops) if drops else None,
        bootstrap_interval(drops) if drops else None,
        sum(drop > 0 for drop in drops),
        sum(drop < 0 for drop in drops),
    )


def kinds_of(gold: str, hardness: str | None) -> list[str]:
    """The kinds of a gold query: its hardness, and the clauses that it has."""
    kinds = [hardness] if hardness else []
    try:
        tree = parse(gold)
    except Refused:
        return kinds
    selects = list(tree.find_all(exp.Select))
    operations = list(tree.find_all(exp.SetOperation))
    found = {
        "set operation": bool(operations),
        "nesting": len(selects) > len(operations) + 1,  # n set operations have n + 1 queries
        "joins": tree.find(exp.Join) is not None,
        "group": tree.find(exp.Group) is not None,
        "order": tree.find(exp.Order) is not None,
        "value in a condition": any(where.find(exp.Literal) for where in tree.find_all(exp.Where)),
    }
    return kinds + ([kind for kind, is_there in found.items() if is_there] or ["no clause"])


def in_markdown(rows: Sequence[Breakage], title: str, settings: Mapping[str, Any]) -> str:
    """The report for people: the changes, then where they break, the worst first, then the settings."""
    head = [f"| {' | '.join(COLUMNS)} |", "|---|---|" + "---:|" * 7]
    parts = [f"# Robustness: {title}", "", "## By change", "", *head]
    parts += [_line(row) for row in rows if row.kind == ALL]
    parts += ["", "## Where it breaks", "", *head]
    parts += [_line(row) for row in rows if row.kind != ALL]
    parts += ["", LEGEND, ""]
    parts += [f"- {name}: {value}" for name, value in settings.items()]
    return "\n".join(parts) + "\n"


def in_lines(rows: Sequence[Breakage], most: int = 20) -> list[str]:
    """The figures as one table for a terminal: all changes, then the `most` kinds of query that break worst."""
    kinds = [row for row in rows if row.kind != ALL]
    cells = [COLUMNS, *(_cells(row) for row in rows if row.kind == ALL), *(_cells(row) for row in kinds[:most])]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return lines + ([f"{len(kinds) - most} further kinds: robustness.md"] if len(kinds) > most else [])


def _line(row: Breakage) -> str:
    return f"| {' | '.join(_cells(row))} |"


def _cells(row: Breakage) -> list[str]:
    """A figure as the cells of a table for people."""
    cells = [row.change, row.kind, str(row.answers), f"{row.ex:.1%}", _interval(row.interval_95)]
    if row.drop is None or row.drop_interval_95 is None:
        return [*cells, "-", "-", "-", "-"]
    drops = _interval(row.drop_interval_95)
    return [*cells, f"{row.drop:+.1%} of {row.pairs}", drops, str(row.broken), str(row.mended)]


def _interval(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}"
