"""The report's part on where text-to-SQL breaks: the table of `chaku sql robustness`, worst kinds of query first."""

from typing import Any

from chaku.report.html import Html, element, join
from chaku.report.run import mapping, number, records
from chaku.report.table import NOTHING, Text, heat_cell, percent, table, whole

MAX_KINDS = 30  # rows of the second table; robustness.md has all
ALL = "all"  # the kind of the rows about a whole change
COLUMNS: list[str | Text] = [
    "change", Text("kind of query"), "answers", "right", "95% interval", "drop in pairs", "95% interval",
    "broken, mended",
]  # fmt: skip
NOTE = (
    "Right: the share of answers that are right after the change. Drop in pairs: the share of right answers to the "
    "unchanged questions minus the share after the change, in percentage points, over questions that were asked both "
    "ways. Broken: pairs that are right only before the change; mended: only after it."
)


def robustness_section(found: dict[str, dict[str, Any]]) -> Html:
    """Two tables for each robustness.json: by change, and by kind of query, the worst first. `found`: by folder."""
    return join([_one(folder, content) for folder, content in found.items()])


def _one(folder: str, content: dict[str, Any]) -> Html:
    rows = records(content.get("breakages"))
    whole_changes = [row for row in rows if row.get("kind") == ALL]
    kinds = [row for row in rows if row.get("kind") != ALL]
    more = f"{len(kinds) - MAX_KINDS} further kinds are in robustness.md." if len(kinds) > MAX_KINDS else None
    about = mapping(content.get("manifest"))
    said = [
        f"{name} {about[key]}"
        for key, name in (("prompt_form", "prompt:"), ("num_samples", "samples:"))
        if key in about
    ]
    return join(
        [
            element("p", f"{folder or 'robustness.json'} ({', '.join(said)})" if said else folder, class_="note"),
            element("h3", "By change"),
            table([COLUMNS[0], *COLUMNS[2:]], [_cells(row, kind=False) for row in whole_changes]),
            element("h3", "Where it breaks, the worst first"),
            table(COLUMNS, [_cells(row) for row in kinds[:MAX_KINDS]]),
            element("p", more, class_="note") if more else None,
            element("p", NOTE, class_="note"),
        ]
    )


def _cells(row: dict[str, Any], *, kind: bool = True) -> list[object]:
    drop, pairs = number(row.get("drop")), number(row.get("pairs"))
    change = [row.get("change"), row.get("kind")] if kind else [row.get("change")]
    lost: list[object] = [NOTHING] * 3
    if drop is not None and pairs:
        lost = [_drop_cell(drop, pairs), _interval(row.get("drop_interval_95"), signed=True)]
        lost.append(f"{whole(row.get('broken'))}, {whole(row.get('mended'))}")
    return [*change, whole(row.get("answers")), percent(row.get("ex")), _interval(row.get("interval_95")), *lost]


def _drop_cell(drop: float, pairs: float) -> Html:
    """A drop on a ground that is darker for larger drops."""
    cell = heat_cell(max(drop, 0.0))
    return Html(cell.replace(f">{percent(max(drop, 0.0))}<", f">{100 * drop:+.1f} of {pairs:.0f}<"))


def _interval(interval: object, *, signed: bool = False) -> str:
    ends = [number(end) for end in interval] if isinstance(interval, list) else []
    if len(ends) != 2 or ends[0] is None or ends[1] is None:
        return NOTHING
    sign = "+" if signed else ""
    return f"{100 * ends[0]:{sign}.1f} to {100 * ends[1]:{sign}.1f}"
