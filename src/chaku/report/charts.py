"""Draws line charts and the family tree as inline SVG. Colours are classes (`s0` .. `s7`) of the style sheet."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from chaku.console import short
from chaku.report.html import Html, element

NUM_COLOURS = 8
WIDE, SMALL = (760, 300), (420, 240)  # pixels: the width and height of a chart


@dataclass(frozen=True)
class Line:
    """One line: its points (x, y), the index of its colour, and `raw`, the unsmoothed points, drawn paler behind it."""

    name: str
    colour: int
    points: Sequence[tuple[float, float]]
    raw: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Node:
    """A box of the tree. `name`: its heading. `parent`: its parent's name. `lines`: small text. `faint`: unfinished."""

    name: str
    parent: str | None
    colour: int
    lines: Sequence[str] = field(default_factory=tuple)
    faint: bool = False


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    marks: Sequence[tuple[float, str]] = (),
    small: bool = False,
) -> Html:
    """A chart with a legend. `marks`: (x, label) of vertical rules. A log axis leaves out values that are 0 or less.

    It is drawn twice, for a wide page and for a phone, unless it is `small`, for a page's half.
    """
    if not any(_on_axes(line.points, log_x, log_y) + _on_axes(line.raw, log_x, log_y) for line in lines):
        return element("p", "No points to draw.", class_="absent")
    label = f"{title}: {y_label} by {x_label}"
    drawn = [
        element("div", _svg(lines, size, label, x_label, log_x, log_y, marks), class_=css)
        for size, css in ([(SMALL, None)] if small else [(WIDE, "wide"), (SMALL, "narrow")])
    ]
    named = [line for line in lines if _on_axes(line.points, log_x, log_y)]
    keys = [element("span", swatch(line.colour), line.name, class_="key") for line in named]
    return element(
        "figure",
        element("figcaption", element("b", title), element("span", y_label, class_="unit")),
        element("div", keys, class_="legend"),
        drawn,
    )


def _on_axes(points: Sequence[tuple[float, float]], log_x: bool, log_y: bool) -> list[tuple[float, float]]:
    """The points that a log axis can show."""
    return [(x, y) for x, y in points if (x > 0 or not log_x) and (y > 0 or not log_y)]


def _svg(
    lines: Sequence[Line],
    size: tuple[int, int],
    label: str,
    x_label: str,
    log_x: bool,
    log_y: bool,
    marks: Sequence[tuple[float, str]],
) -> Html:
    """The drawing, `size` pixels wide and high."""
    width, height = size

    def shown(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return _on_axes(points, log_x, log_y)

    drawn = [(line, shown(line.points), shown(line.raw)) for line in lines]
    every = [point for _, points, raw in drawn for point in points + raw]
    left, right, top, bottom = 52, 16, 16, 44
    marks = [(x, label) for x, label in marks if x > 0 or not log_x]
    x_of, x_ticks = _axis(
        [x for x, _ in every] + [x for x, _ in marks], left, width - right, log_x, 8 if width > 500 else 5
    )
    y_of, y_ticks = _axis([y for _, y in every], height - bottom, top, log_y, 5)

    def path(points: Sequence[tuple[float, float]], css: str, name: str) -> Html:
        if len(points) == 1:
            (x, y) = points[0]
            return element("circle", element("title", name), cx=_f(x_of(x)), cy=_f(y_of(y)), r=4, class_=f"dot {css}")
        d = "M" + "L".join(f"{_f(x_of(x))} {_f(y_of(y))}" for x, y in points)
        return element("path", element("title", name), d=d, class_=css)

    parts: list[Html] = []
    for tick, said in zip(y_ticks, _labels(y_ticks), strict=True):
        parts.append(element("line", x1=left, x2=width - right, y1=_f(y_of(tick)), y2=_f(y_of(tick)), class_="grid"))
        parts.append(element("text", said, x=left - 8, y=_f(y_of(tick) + 4), class_="tick end"))
    for tick, said in zip(x_ticks, _labels(x_ticks), strict=True):
        parts.append(element("text", said, x=_f(x_of(tick)), y=height - bottom + 18, class_="tick middle"))
    parts.append(element("line", x1=left, x2=width - right, y1=height - bottom, y2=height - bottom, class_="axis"))
    parts.append(element("text", x_label, x=(left + width - right) / 2, y=height - 6, class_="tick middle"))
    for index, (x, label) in enumerate(marks):
        parts.append(element("line", x1=_f(x_of(x)), x2=_f(x_of(x)), y1=top, y2=height - bottom, class_="rule"))
        on_left = x_of(x) > width * 0.7
        place = {"x": _f(x_of(x) + (-6 if on_left else 6)), "class_": "tick end" if on_left else "tick"}
        # Labels of neighbours are at two heights.
        parts.append(element("text", label, y=top + 8 + 14 * (index % 2), **place))
    for line, _, raw in drawn:
        if raw:
            parts.append(path(raw, f"raw s{line.colour % NUM_COLOURS}", line.name))
    for line, points, _ in drawn:
        if points:
            parts.append(
                path(points, f"line s{line.colour % NUM_COLOURS}{' dashed' * _dashed(line.colour)}", line.name)
            )
    return element("svg", parts, viewBox=f"0 0 {width} {height}", role="img", aria_label=label)


def swatch(colour: int) -> Html:
    """The small square in a line's colour, for a legend or a table."""
    return element("i", class_=f"swatch s{colour % NUM_COLOURS}{' dashed' * _dashed(colour)}")


def _dashed(colour: int) -> bool:
    """Whether a line is dashed: colours repeat after NUM_COLOURS lines, and every second round is dashed."""
    return colour // NUM_COLOURS % 2 == 1


def smooth(points: Sequence[tuple[float, float]], window: int) -> list[tuple[float, float]]:
    """Running mean: at every point, the mean of the points at most `window` // 2 places away."""
    sums = [0.0, *accumulate(y for _, y in points)]
    means = []
    for index, (x, _) in enumerate(points):
        first, last = max(0, index - window // 2), min(len(points), index + window // 2 + 1)
        means.append((x, (sums[last] - sums[first]) / (last - first)))
    return means


def thin(points: Sequence[tuple[float, float]], most: int = 400) -> list[tuple[float, float]]:
    """At most `most` points: means over equal groups of neighbours."""
    if len(points) <= most:
        return list(points)
    groups = [points[i * len(points) // most : (i + 1) * len(points) // most] for i in range(most)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]


def _axis(
    values: Sequence[float], start: float, end: float, log: bool, num_ticks: int
) -> tuple[Callable[[float], float], list[float]]:
    """A function from value to pixel, and the values of the ticks."""
    low, high = min(values), max(values)
    if low == high and not log:
        low, high, ticks = low - 0.5, high + 0.5, [low]
    else:
        low, high = (low / 1.5, high * 1.5) if low == high else (low, high)
        ticks = _log_ticks(low, high, num_ticks) if log else _linear_ticks(low, high, num_ticks)
    scale: Callable[[float], float] = math.log if log else float
    first, last = scale(low), scale(high)
    return lambda value: start + (scale(value) - first) / (last - first) * (end - start), ticks


def _labels(ticks: Sequence[float]) -> list[str]:
    """What the ticks of one axis say: short, with as many digits as tell them apart."""
    for digits in range(3, 12):
        labels = [short(tick, digits) for tick in ticks]
        if len(set(labels)) == len(labels):
            break
    return labels


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [index * step for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    """Round values between low and high: the finest pattern with at most `most` ticks; linear ticks if it has few."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for pattern in (
        (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
        (1, 1.5, 2, 3, 4, 6, 8),
        (1, 2, 4, 8),
        (1, 2, 5),
        (1, 3),
        (1,),
    ):
        ticks = [factor * 10.0**decade for decade in decades for factor in pattern]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= most:
            break
    return ticks if len(ticks) >= 3 else [tick for tick in _linear_ticks(low, high, most) if tick >= low]


def _f(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def family_tree(nodes: Sequence[Node]) -> Html:
    """The stages from left to right, joined to their parents. A first child is at the height of its parent."""
    box_width, line_height, gap_x, gap_y = 176, 16, 36, 18
    box_height = 32 + line_height * max((len(node.lines) for node in nodes), default=0)
    places: dict[str, tuple[int, int]] = {}
    num_rows = 0

    def place(node: Node, column: int) -> None:
        nonlocal num_rows
        if node.name in places:
            return
        places[node.name] = (column, num_rows)
        for index, child in enumerate([other for other in nodes if other.parent == node.name]):
            num_rows += index > 0
            place(child, column + 1)

    names = {node.name for node in nodes}
    for node in nodes:
        if node.parent not in names:
            place(node, 0)
            num_rows += 1
    for node in nodes:  # nodes whose parents form a circle
        if node.name not in places:
            place(node, 0)
            num_rows += 1

    def corner(name: str) -> tuple[int, int]:
        column, row = places[name]
        return 1 + column * (box_width + gap_x), 1 + row * (box_height + gap_y)

    parts: list[Html] = []
    for node in nodes:
        if node.parent in places:
            (x1, y1), (x2, y2) = corner(node.parent), corner(node.name)
            x1, y1, y2, mid = x1 + box_width, y1 + box_height // 2, y2 + box_height // 2, x2 - gap_x // 2
            parts.append(element("path", d=f"M{x1} {y1}H{mid}V{y2}H{x2}", class_="edge"))
    for node in nodes:
        x, y = corner(node.name)
        css = "box faint" if node.faint else "box"
        parts.append(element("rect", x=x, y=y, width=box_width, height=box_height, rx=8, class_=css))
        parts.append(
            element("rect", x=x + 12, y=y + 13, width=10, height=10, rx=2, class_=f"fill s{node.colour % NUM_COLOURS}")
        )
        parts.append(element("text", _clip(node.name, 16), x=x + 28, y=y + 22, class_="name"))
        for index, line in enumerate(node.lines):
            parts.append(element("text", _clip(line, 27), x=x + 12, y=y + 40 + index * line_height, class_="tick"))
    width = 2 + max((corner(name)[0] + box_width for name in places), default=0)
    height = 2 + max((corner(name)[1] + box_height for name in places), default=0)
    label = "Family tree: " + ", ".join(
        f"{node.name} from {node.parent}" if node.parent else node.name for node in nodes
    )
    svg = element(
        "svg", parts, viewBox=f"0 0 {width} {height}", width=width, height=height, role="img", aria_label=label
    )
    return element("div", element("div", svg, class_="wide"), _tree_as_list(nodes, None, names), class_="scroll tree")


def _tree_as_list(nodes: Sequence[Node], parent: str | None, names: set[str], depth: int = 0) -> Html | None:
    """The same tree as nested lists, for a phone."""
    children = [node for node in nodes if (node.parent if node.parent in names else None) == parent]
    if not children or depth > len(nodes):
        return None
    items = [
        element(
            "li",
            swatch(node.colour),
            element("b", node.name),
            element("span", " · ".join(line for line in node.lines if line), class_="unit"),
            _tree_as_list(nodes, node.name, names, depth + 1),
        )
        for node in children
    ]
    return element("ul", items, class_="narrow" if parent is None else None)


def _clip(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
