"""Figures of what breaks: by change and kind of query, in pairs, the worst first."""

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.sql.scoring.breakage import Answered, breakages, in_lines, in_markdown, kinds_of


@pytest.mark.parametrize(
    ("gold", "kinds"),
    [
        ("SELECT a FROM t", ["no clause"]),
        ("SELECT a FROM t WHERE b = 'x'", ["value in a condition"]),
        ("SELECT a FROM t JOIN u ON t.id = u.id GROUP BY a ORDER BY b", ["joins", "group", "order"]),
        ("SELECT a FROM t WHERE b IN (SELECT b FROM u)", ["nesting"]),
        ("SELECT a FROM t UNION SELECT b FROM u", ["set operation"]),
        ("SELECT a FROM t EXCEPT SELECT b FROM u WHERE c > (SELECT max(c) FROM u)", ["set operation", "nesting"]),
        ("no query (", []),
    ],
)
def test_the_kinds_of_a_query(gold, kinds):
    assert kinds_of(gold, "easy") == ["easy", *kinds]
    assert kinds_of(gold, None) == kinds


def answers(gold, right, unchanged):
    """`right` and `unchanged` as texts of 1 (right), 0 (wrong) and - (no pair)."""
    return [
        Answered(gold, "easy", one == "1", None if before == "-" else before == "1")
        for one, before in zip(right, unchanged, strict=True)
    ]


ONE, JOIN = "SELECT a FROM t", "SELECT a FROM t JOIN u ON t.id = u.id"


def test_the_largest_drop_comes_first_and_counts_what_broke_and_mended():
    rows = breakages(
        {
            "as it is": answers(ONE, "1111100000", "----------"),
            "typos": answers(ONE, "11110", "11111") + answers(JOIN, "000001", "111100"),
        }
    )
    assert [(row.change, row.kind) for row in rows] == [
        ("typos", "joins"), ("typos", "all"), ("typos", "easy"), ("typos", "no clause"),
        ("as it is", "all"), ("as it is", "easy"), ("as it is", "no clause"),
    ]  # fmt: skip
    worst, typos = rows[0], rows[1]
    assert (worst.answers, worst.right, worst.pairs, worst.drop) == (6, 1, 6, 0.5)
    assert (worst.broken, worst.mended) == (4, 1)
    assert worst.drop_interval_95[0] < 0.5 < worst.drop_interval_95[1]
    assert (typos.drop, typos.ex) == (4 / 11, 5 / 11)
    assert (rows[-1].drop, rows[-1].pairs, rows[-1].ex) == (None, 0, 0.5)


def test_a_kind_with_few_answers_is_not_listed():
    rows = breakages({"typos": answers(ONE, "11111", "11111") + answers(JOIN, "0000", "1111")})
    assert "joins" not in [row.kind for row in rows]
    assert [row.answers for row in rows if row.kind == "all"] == [9]


def test_the_report_for_people_has_every_figure_and_its_settings():
    rows = breakages({"typos": answers(JOIN, "00000", "11111")})
    text = in_markdown(rows, "spider/dev", {"seed": 3})
    assert "# Robustness: spider/dev" in text
    assert "| typos | joins | 5 | 0.0% | 0.0% to 43.4% | +100.0% of 5 | 100.0% to 100.0% | 5 | 0 |" in text
    assert "- seed: 3" in text
    lines = in_lines(rows, most=1)
    assert lines[1].startswith("typos")
    assert lines[-1] == "1 further kinds: robustness.md"
