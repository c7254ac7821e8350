"""Decides whether rows make a chart, and writes the chart as Vega-Lite, SVG or PNG."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from chaku.errors import ChakuError
from chaku.files import atomic_file
from chaku.sql.execute.runner import Result

MIN_POINTS = 2
MAX_BARS = 50
MAX_TIMES = 1_000
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
RULE = (
    "a chart needs two columns, one of labels or times without repeats and one of numbers that are no ids, and "
    f"{MIN_POINTS} to {MAX_BARS} rows, or up to {MAX_TIMES:,} times"
)
_TIME = re.compile(r"\d{4}(-\d{2}(-\d{2}([ T]\d{2}:\d{2}.*)?)?)?")
_ID = re.compile(r"(?i:^id|_id)$|[a-z]I[Dd]$")  # such numbers name things
_YEAR_NAME = re.compile(r"year|jahr|ann[ée]e|año|年", re.IGNORECASE)


@dataclass(frozen=True)
class Point:
    """A bar, or a point of a line. `text`: the value as the database wrote it. `time`: None for a bar."""

    label: str
    value: float
    text: str
    time: datetime | None = None


@dataclass(frozen=True)
class Chart:
    """Bars in the order of the rows, or a line in the order of time. `label`, `value`: the columns' names."""

    kind: Literal["bar", "line"]
    label: str
    value: str
    points: tuple[Point, ...]


def chart_of(result: Result) -> Chart | None:
    """The chart of a result; None for rows that RULE does not fit, and for a cut result, which lacks some bars."""
    columns, rows = result.columns, result.rows
    if len(columns) != 2 or not MIN_POINTS <= len(rows) <= MAX_TIMES or result.truncated:
        return None
    for label, value in ((0, 1), (1, 0)):
        numbers = [row[value] for row in rows]
        labels = [row[label] for row in rows]
        if not all(map(_is_number, numbers)) or not _are_labels(labels, columns[label]) or _ID.search(columns[value]):
            continue
        texts = ["NULL" if cell is None else str(cell) for cell in labels]
        if len(set(texts)) < len(texts):
            return None
        times = [_time(text) for text in texts]
        points = [Point(*parts) for parts in zip(texts, map(float, numbers), map(str, numbers), times, strict=True)]
        if all(times):
            return Chart("line", columns[label], columns[value], tuple(sorted(points, key=lambda point: point.time)))  # type: ignore[arg-type, return-value]
        if len(points) > MAX_BARS:
            return None
        return Chart("bar", columns[label], columns[value], tuple(replace(point, time=None) for point in points))
    return None


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float | Decimal) and not isinstance(cell, bool) and math.isfinite(cell)


def _are_labels(cells: Sequence[Any], name: str) -> bool:
    """Texts, or years: whole numbers in a column that is called a year."""
    if all(cell is None or isinstance(cell, str) for cell in cells):
        return True
    are_years = all(isinstance(cell, int) and 1000 <= cell <= 2999 for cell in cells)
    return are_years and _YEAR_NAME.search(name) is not None


def _time(text: str) -> datetime | None:
    """A year, month, day or time as the UTC time; a time without a zone is taken as UTC. None for other texts."""
    if not _TIME.fullmatch(text):
        return None
    try:
        time = datetime.fromisoformat(text + {4: "-01-01", 7: "-01"}.get(len(text), ""))
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def vega_lite(chart: Chart) -> dict[str, Any]:
    """The chart as a Vega-Lite specification with its data, as doubles: long decimals lose their last digits."""
    number = {"field": "value", "type": "quantitative", "title": chart.value}
    values: list[dict[str, Any]] = [{"label": point.label, "value": point.value} for point in chart.points]
    about = {"$schema": SCHEMA, "description": f"{chart.value} by {chart.label}"}
    if chart.kind == "bar":
        names = {"field": "label", "type": "nominal", "sort": None, "title": chart.label}
        return {**about, "data": {"values": values}, "mark": "bar", "encoding": {"y": names, "x": number}}
    for value, point in zip(values, chart.points, strict=True):
        assert point.time
        value["time"] = point.time.isoformat().replace("+00:00", "Z")
    # All times are UTC, so that a viewer's time zone shifts no day.
    times = {"field": "time", "type": "temporal", "scale": {"type": "utc"}, "title": chart.label}
    mark = {"type": "line", "point": True}
    return {**about, "data": {"values": values}, "mark": mark, "encoding": {"x": times, "y": number}}


def check_chart_file(path: Path) -> None:
    """Raises ChakuError for a file of another kind than chaku writes, and for a missing library."""
    suffix = path.suffix.lower()
    if suffix not in (".json", ".svg", ".png"):
        raise ChakuError(f"{path} is no chart file; name it FILE.png, FILE.svg, or FILE.vl.json for Vega-Lite")
    if suffix != ".json":
        _vl_convert()


def write_chart(result: Result, path: Path) -> None:
    """Write the chart of a result. Raises ChakuError for a wrong file (`check_chart_file`) and rows without a chart."""
    check_chart_file(path)
    chart = chart_of(result)
    if chart is None:
        cut = ", and was cut off there" if result.truncated else ""
        shape = f"{len(result.rows):,} rows of {len(result.columns)} columns{cut}"
        raise ChakuError(f"{path} was not written: the result has {shape}; {RULE}")
    spec = vega_lite(chart)
    data: bytes
    if path.suffix.lower() == ".json":
        data = json.dumps(spec, ensure_ascii=False, indent=1).encode()
    elif path.suffix.lower() == ".svg":
        data = _vl_convert().vegalite_to_svg(json.dumps(spec), allowed_base_urls=[]).encode()
    else:
        data = _vl_convert().vegalite_to_png(json.dumps(spec), scale=2, allowed_base_urls=[])
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


def _vl_convert() -> Any:
    try:
        import vl_convert
    except ModuleNotFoundError:
        raise ChakuError(
            "charts in PNG and SVG need vl-convert: pip install 'chaku[files]'; FILE.vl.json needs nothing"
        ) from None
    return vl_convert
