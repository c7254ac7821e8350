"""The small parts: escaping, numbers, ticks, smoothing."""

from html import unescape
from typing import cast
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaku.report.charts import Line, Node, _linear_ticks, _log_ticks, family_tree, line_chart, smooth, thin
from chaku.report.html import Html, element, escape, join
from chaku.report.run import ReportedRun
from chaku.report.sql import shop_answers
from chaku.report.table import Published, Text, duration, fixed, percent, size, spaced, table


@given(st.text(st.characters(codec=None)))
def test_any_text_is_well_formed_in_content_and_attribute(text: str) -> None:
    parsed = ElementTree.fromstring(element("p", text, title=text))
    parsed_title = parsed.get("title")
    assert parsed_title is not None
    assert len(parsed) == 0
    markup = escape(text)
    markup.encode("utf-8")
    assert not set('<>"') & set(markup)
    assert (parsed.text or "") == unescape(markup)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cc", "Cf", "Cs"])))
def test_printable_text_comes_back_unchanged(text: str) -> None:
    assert (ElementTree.fromstring(element("p", text)).text or "") == text


def test_only_html_passes_unescaped() -> None:
    assert join(["<b>", Html("<i>x</i>"), None, ["&", 3]]) == "&lt;b&gt;<i>x</i>&amp;3"
    assert element("td", class_="a", stroke_width=2, rx=None) == '<td class="a" stroke-width="2"></td>'


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (59.97, "1 min 0 s"), (3600, "1 h 0 min"), (None, "–")]
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_sizes_and_percentages() -> None:
    assert [size(n) for n in (0, 999, 1000, 2_340_000, 5e9)] == ["0 B", "999 B", "1 kB", "2.34 MB", "5 GB"]
    assert [spaced(n, "FLOP/s") for n in (3.1e11, 12, None)] == ["310 GFLOP/s", "12 FLOP/s", "–"]
    assert [percent(x) for x in (0.335, 1, float("nan"), "x", True)] == ["33.5%", "100.0%", "–", "–", "–"]


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_linear_ticks_are_few_and_inside(low: float, span: float) -> None:
    high = low + span
    if high - low < 1e-9 * max(abs(low), abs(high)):
        return
    ticks = _linear_ticks(low, high, 6)
    slack = 1e-6 * (high - low) + 1e-6 * max(abs(low), abs(high))
    assert 1 <= len(ticks) <= 7
    assert all(low - slack <= tick <= high + slack for tick in ticks)


@given(st.floats(1e-6, 1e6), st.floats(1.001, 1e9))
def test_log_ticks_are_few_inside_and_rising(low: float, ratio: float) -> None:
    ticks = _log_ticks(low, low * ratio, 6)
    assert 1 <= len(ticks) <= 20
    assert all(low * 0.999 <= tick <= low * ratio * 1.001 for tick in ticks)
    assert ticks == sorted(set(ticks))


def test_smooth_is_a_centred_mean_and_thin_keeps_the_ends() -> None:
    points = [(float(x), float(x)) for x in range(6)]
    assert smooth(points, 3) == [(0, 0.5), (1, 1), (2, 2), (3, 3), (4, 4), (5, 4.5)]
    long = [(float(x), 2.0) for x in range(1001)]
    few = thin(long, 10)
    assert len(few) == 10
    assert all(y == 2.0 for _, y in few)
    assert few[0][0] < 100 < 900 < few[-1][0]
    assert thin(points, 10) == points


def test_a_chart_of_one_point_or_equal_values_or_none() -> None:
    one = line_chart([Line("a", 0, [(1, 2)])], title="t", x_label="x", y_label="y")
    assert ElementTree.fromstring(one).find(".//circle") is not None
    flat = line_chart([Line("a", 0, [(1, 2), (3, 2)])], title="t", x_label="x", y_label="y", log_x=True, log_y=True)
    assert "nan" not in flat
    none = line_chart([Line("a", 0, [(0, -1)])], title="t", x_label="x", y_label="y", log_y=True)
    assert none == '<p class="absent">No points to draw.</p>'


def test_the_labels_of_an_axis_differ() -> None:
    near = line_chart([Line("a", 0, [(16384, 1.561), (8192, 1.569)])], title="t", x_label="x", y_label="y", log_y=True)
    one = line_chart([Line("a", 0, [(16384, 1.56)])], title="t", x_label="x", y_label="y", log_y=True)
    for drawing in [*ElementTree.fromstring(near).iterfind(".//svg"), *ElementTree.fromstring(one).iterfind(".//svg")]:
        labels = [text.text for text in drawing.iterfind("text")]
        assert len(labels) >= 3
        assert len(set(labels)) == len(labels), labels


def test_boxes_of_a_wide_tree_do_not_overlap() -> None:
    names = {"a": None, "b": "a", "c": "a", "d": "b", "e": "b", "f": "c", "g": None, "h": "g"}
    tree = ElementTree.fromstring(family_tree([Node(name, parent, 0) for name, parent in names.items()]))
    corners = [(float(r.get("x", 0)), float(r.get("y", 0))) for r in tree.iter("rect") if r.get("class") == "box"]
    assert len(set(corners)) == len(names)
    rows = dict(zip(names, corners, strict=True))
    assert rows["a"][1] == rows["b"][1] == rows["d"][1] < rows["e"][1] < rows["c"][1] == rows["f"][1] < rows["g"][1]


def test_a_column_of_a_database_may_have_any_name() -> None:
    sample = {"question": "?", "sql": "SELECT 1", "columns": ["<total>", "n"], "rows": [["3", "4"]]}
    page = shop_answers(cast(ReportedRun, None), {"sql": {"ex": 0.5, "samples": [sample]}})
    assert '<th scope="col">&lt;total&gt;</th>' in page


def test_text_columns_are_left_aligned_and_published_rows_stand_out() -> None:
    page = ElementTree.fromstring(table(["name", Text("why")], [["a", "b"], Published(["c", None])]))
    assert [node.get("class") for node in page.iter("th")] == [None, "text", None, None]
    assert [(node.get("class"), node.text) for node in page.iter("td")] == [("text", "b"), ("text", "–")]
    assert [node.get("class") for node in page.iter("tr")] == [None, None, "paper"]


def test_an_answer_that_is_right_on_one_database_alone_is_said_to_be_luck() -> None:
    asked = {"question": "How many?", "gold": "SELECT 1", "sql": "SELECT 2", "right": True, "reason": ""}
    samples = [{**asked, "on_variants": True}, {**asked, "on_variants": False}, {**asked, "right": False}]
    samples[2]["reason"] = "no such table: product.color"
    page = shop_answers(cast(ReportedRun, None), {"sql": {"ex": 0.5, "test_suite": 0.25, "samples": samples}})
    assert [page.count(f">{sign}<") for sign in ("✓ right", "✗ right by luck", "✗ wrong")] == [1, 1, 1]
    assert "\nwhy: no such table: product.color<" in page
    assert "50.0%" in page
    assert "25.0%" in page


def test_a_small_number_is_not_shown_as_zero():
    assert [fixed(value) for value in (0.00042, -0.0001, 0, 1.23456, 1234.5, None)] == [
        "0.0004", "-0.0001", "0.000", "1.235", "1,234.500", "–",
    ]  # fmt: skip
