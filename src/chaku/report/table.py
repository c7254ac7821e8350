"""Builds tables, and formats numbers for people."""

from collections.abc import Sequence

from chaku.console import short
from chaku.report.html import Html, element
from chaku.report.run import number

NOTHING = "–"


def table(columns: Sequence[object], rows: Sequence[Sequence[object]], caption: str | None = None) -> Html:
    """A table. A row's first cell is its heading. A cell may be text, Html or a whole <td>; None becomes a dash.

    A column whose name begins with "<" is left-aligned, as `text_cell` is.
    """
    head = element("thead", element("tr", [_heading(column) for column in columns]))
    body = element("tbody", [row if isinstance(row, Html) else table_row(row) for row in rows])
    title = element("caption", caption) if caption else None
    return element("div", element("table", title, head, body), class_="scroll table")


def _heading(column: object) -> Html:
    """A column's heading. A column whose name begins with "<" is left-aligned."""
    text = str(column)
    return element("th", text.removeprefix("<"), scope="col", class_="text" if text.startswith("<") else None)


def table_row(cells: Sequence[object], class_: str | None = None) -> Html:
    """One row with a CSS class, to pass to `table`."""
    parts = [element("th", cells[0], scope="row")]
    for cell in cells[1:]:
        whole = isinstance(cell, Html) and cell.startswith("<td")
        parts.append(cell if whole else element("td", NOTHING if cell is None else cell))  # type: ignore[arg-type]
    return element("tr", parts, class_=class_)


def text_cell(text: object) -> Html:
    """A left-aligned cell of text that may wrap."""
    return element("td", text, class_="text")


def heat_cell(share: float | None) -> Html:
    """A percentage whose background is darker for larger shares; None becomes a dash."""
    if share is None:
        return element("td", NOTHING)
    return element("td", percent(share), class_="heat", style=f"--heat:{min(max(share, 0.0), 1.0):.3f}")


def bar(parts: Sequence[tuple[float, int]], total: float) -> Html:
    """A stacked bar of (amount, colour). Its full width is `total`."""
    pieces = [
        element("i", class_=f"s{colour % 8}", style=f"width:{amount / total:.2%}")
        for amount, colour in parts
        if amount > 0
    ]
    return element("td", element("div", pieces, class_="bar"), class_="text")


def percent(share: object, digits: int = 1) -> str:
    """0.335 -> 33.5%; a dash when it is not a number."""
    value = number(share)
    return NOTHING if value is None else f"{100 * value:.{digits}f}%"


def fixed(value: object, digits: int = 3) -> str:
    """A number with `digits` after the point; a dash when it is not a number."""
    value = number(value)
    return NOTHING if value is None else f"{value:,.{digits}f}"


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
