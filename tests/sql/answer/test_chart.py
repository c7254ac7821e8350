import json
import sys
import time
from decimal import Decimal

import pytest

from chaku.errors import ChakuError
from chaku.sql.answer.chart import MAX_BARS, MAX_TIMES, chart_of, vega_lite, write_chart
from chaku.sql.execute.runner import Result


def of(columns, rows):
    return Result("ok", "", tuple(columns), [*rows])


SALES = of(["country", "sales"], [("Peru", 3), (None, Decimal("1.5")), ("日本", -2)])
MONTHS = of(["n", "month"], [(5, "2024-03"), (4, "2024-01"), (7, "2024-02")])


def test_labels_with_numbers_are_bars_in_the_order_of_the_rows():
    chart = chart_of(SALES)
    assert (chart.kind, chart.label, chart.value) == ("bar", "country", "sales")
    assert [(point.label, point.value) for point in chart.points] == [("Peru", 3), ("NULL", 1.5), ("日本", -2)]


def test_times_are_a_line_in_the_order_of_time_whichever_column_they_are():
    spec = vega_lite(chart_of(MONTHS))
    assert spec["mark"]["type"] == "line"
    assert [(value["time"], value["value"]) for value in spec["data"]["values"]] == [
        ("2024-01-01T00:00:00Z", 4), ("2024-02-01T00:00:00Z", 7), ("2024-03-01T00:00:00Z", 5)
    ]  # fmt: skip
    assert chart_of(of(["year", "n"], [(2020, 5), (2021, 6)])).kind == "line"
    zoned = chart_of(of(["at", "n"], [("2024-01-01 00:00:00+02:00", 5), ("2024-01-02", 6)]))
    assert vega_lite(zoned)["data"]["values"][0]["time"] == "2023-12-31T22:00:00Z"


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        (["a", "b"], [("x", 1)]),
        (["a", "b"], []),
        (["a"], [("x",), ("y",)]),
        (["a", "b", "c"], [("x", 1, 2), ("y", 1, 2)]),
        (["a", "b"], [("x", 1), ("x", 2)]),
        (["a", "b"], [("x", 1), ("y", None)]),
        (["a", "b"], [("x", 1), ("y", float("nan"))]),
        (["a", "b"], [("x", True), ("y", False)]),
        (["a", "b"], [(b"x", 1), (b"y", 2)]),
        (["id", "b"], [(2020, 1), (2021, 2)]),
        (["name", "course_id"], [("x", 1), ("y", 2)]),
        (["name", "courseID"], [("x", 1), ("y", 2)]),
        (["a", "b"], [(f"x{i}", i) for i in range(MAX_BARS + 1)]),
        (["year", "b"], [(f"{1000 + i:04}-01-01", i) for i in range(MAX_TIMES + 1)]),
    ],
)
def test_other_rows_have_no_chart(columns, rows):
    assert chart_of(of(columns, rows)) is None


def test_a_cut_result_has_no_chart(tmp_path):
    cut = Result("ok", "", SALES.columns, SALES.rows, truncated=True)
    with pytest.raises(ChakuError, match="3 rows of 2 columns, and was cut off there"):
        write_chart(cut, tmp_path / "chart.vl.json")


def test_as_many_bars_and_times_as_allowed_have_one():
    assert len(chart_of(of(["a", "b"], [(f"x{i}", i) for i in range(MAX_BARS)])).points) == MAX_BARS
    times = [(f"{1000 + i:04}-01-01", i) for i in range(MAX_TIMES)]
    assert len(chart_of(of(["a", "b"], times)).points) == MAX_TIMES


def test_ten_million_rows_are_refused_at_once_with_the_limit(tmp_path):
    million_rows = of(["a", "b"], [("x", 1)] * 10_000_000)
    with pytest.raises(ChakuError, match=r"the result has 10,000,000 rows of 2 columns; a chart needs .* 2 to 50 rows"):
        write_chart(million_rows, tmp_path / "chart.vl.json")
    assert [*tmp_path.iterdir()] == []


def test_vega_lite_is_written_without_any_library(tmp_path):
    write_chart(SALES, tmp_path / "chart.vl.json")
    spec = json.loads((tmp_path / "chart.vl.json").read_text())
    assert spec == vega_lite(chart_of(SALES))
    assert spec["encoding"]["y"]["title"] == "country"
    assert spec["data"]["values"][2] == {"label": "日本", "value": -2}


def test_svg_and_png_are_drawn(tmp_path):
    pytest.importorskip("vl_convert", reason="needs the files extra")
    write_chart(SALES, tmp_path / "chart.svg")
    svg = (tmp_path / "chart.svg").read_text()
    assert svg.startswith("<svg")
    assert all(text in svg for text in ("Peru", "NULL", "日本", "country", "sales"))
    write_chart(MONTHS, tmp_path / "chart.PNG")
    assert (tmp_path / "chart.PNG").read_bytes().startswith(b"\x89PNG")


def test_a_wrong_name_and_a_missing_library_are_said(tmp_path, monkeypatch):
    with pytest.raises(ChakuError, match=r"name it FILE.png, FILE.svg, or FILE.vl.json"):
        write_chart(SALES, tmp_path / "chart.pdf")
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(ChakuError, match=r"pip install 'chaku\[files\]'"):
        write_chart(SALES, tmp_path / "chart.svg")


def test_ten_million_rows_make_no_chart_and_take_no_time():
    started = time.process_time()
    assert chart_of(Result("ok", columns=("name", "amount"), rows=[("a", 1)] * 10_000_000)) is None
    assert time.process_time() - started < 1
