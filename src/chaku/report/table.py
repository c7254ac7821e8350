"""Builds tables, and formats numbers for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chaku.console import short
from chaku.report.html import Html, element
from chaku.report.run import number

NOTHING = "–"


@dataclass(frozen=True)
class Text:
    """A column of text, which is left-aligned and may wrap. Other columns are right-aligned."""

    name: str


@dataclass(frozen=True)
class Published:
    """A row of published numbers, which stand out from the run's own."""

    cells: Sequence[object]


@dataclass(frozen=True)
class Total:
    """The row below the others that sums them up. It stays there when the table is sorted."""

    cells: Sequence[object]


Row = Sequence[object] | Published | Total


def table(columns: Sequence[str | Text], rows: Sequence[Row], caption: str | None = None) -> Html:
    """A table. A row's first cell is its heading. A cell may be text, Html or a whole <td>; None becomes a dash.

    A table with three rows or more sorts by a click on a heading, where the page runs its script.
    """
    classes = {place: "text" for place, column in enumerate(columns) if isinstance(column, Text)}
    names = [column.name if isinstance(column, Text) else column for column in columns]
    head = [element("th", name, scope="col", class_=classes.get(place)) for place, name in enumerate(names)]
    body = [
        element("tr", _cells(row.cells, classes), class_="paper" if isinstance(row, Published) else "total")
        if isinstance(row, Published | Total)
        else element("tr", _cells(row, classes))
        for row in rows
    ]
    title = element("caption", caption) if caption else None
    sorts = "sorts" if sum(not isinstance(row, Published | Total) for row in rows) >= 3 else None
    whole = element("table", title, element("thead", element("tr", head)), element("tbody", body), class_=sorts)
    return element("div", whole, class_="scroll table")


def _cells(cells: Sequence[object], classes: Mapping[int, str]) -> list[Html]:
    return [element("th", cells[0], scope="row")] + [
        cell
        if isinstance(cell, Html) and cell.startswith("<td")
        else element("td", NOTHING if cell is None else cell, class_=classes.get(place))
        for place, cell in enumerate(cells[1:], 1)
    ]


def heat_cell(share: float | None) -> Html:
    """A percentage whose background is darker for larger shares; None becomes a dash."""
    if share is None:
        return element("td", NOTHING)
    return element("td", percent(share), class_="heat", style=f"--heat:{min(max(share, 0.0), 1.0):.3f}")


def bar(parts: Sequence[tuple[float, int]], total: float) -> Html:
    """A stacked bar of (amount, colour), for a column of `Text`. Its full width is `total`."""
    pieces = [
        element("i", class_=f"s{colour % 8}", style=f"width:{amount / total:.2%}")
        for amount, colour in parts
        if amount > 0
    ]
    return element("div", pieces, class_="bar")


def percent(share: object, digits: int = 1) -> str:
    """0.335 -> 33.5%; a dash when it is not a number."""
    value = number(share)
    return NOTHING if value is None else f"{100 * value:.{digits}f}%"


def fixed(value: object, digits: int = 3) -> str:
    """A number with `digits` after the point, more for one that is not 0; a dash when it is not a number."""
    value = number(value)
    if value is None:
        return NOTHING
    text = f"{value:,.{digits}f}"
    return f"{value:.1g}" if value and not text.strip("-0.") else text


def count(value: object) -> str:
    """A count in about four characters; a dash when it is not a number."""
    value = number(value)
    return NOTHING if value is None else short(value)


def spaced(value: object, unit: str) -> str:
    """A count with a unit and its prefix: 310 GFLOP/s."""
    text = count(value)
    return text if text == NOTHING else f"{text[:-1]} {text[-1]}{unit}" if text[-1].isalpha() else f"{text} {unit}"


def whole(value: object) -> str:
    """A count in full, with thousands separators; a dash when it is not a number."""
    value = number(value)
    return NOTHING if value is None else f"{value:,.0f}"


def size(value: object) -> str:
    """Bytes: 812 B, 4.1 kB, 3.2 MB."""
    value = number(value)
    if value is None:
        return NOTHING
    for scale, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:.0f} B"


def duration(value: object) -> str:
    """Seconds: 4.2 s, 3 min 20 s, 2 h 5 min."""
    value = number(value)
    if value is None:
        return NOTHING
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
