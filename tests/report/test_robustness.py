"""The table of `chaku sql robustness` as a page of its own, and in the report of a run."""

import json
import re
from dataclasses import asdict

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.errors import ChakuError
from chaku.report import write_report, write_robustness_report
from chaku.sql.scoring.breakage import Answered, breakages

JOINED = "SELECT a.x FROM a JOIN b ON a.id = b.id"
PLAIN = "SELECT x FROM a"


def answers(gold, unchanged, right):
    return [Answered(gold, "easy", one, other) for one, other in zip(right, unchanged, strict=True)]


@pytest.fixture
def broken(tmp_path):
    """A folder as `chaku sql robustness` writes it: typing errors break joins, other words break little."""
    found = breakages(
        {
            "typing errors": answers(JOINED, [True] * 8, [True] * 2 + [False] * 6)
            + answers(PLAIN, [True] * 6, [True] * 6),
            "other words": answers(JOINED, [True] * 8, [True] * 7 + [False]),
        }
    )
    folder = tmp_path / "evals" / "broken"
    folder.mkdir(parents=True)
    content = {"manifest": {"prompt_form": "ddl", "num_samples": 1}, "breakages": [asdict(row) for row in found]}
    (folder / "robustness.json").write_text(json.dumps(content))
    return folder


def cells(page):
    return [re.sub(r"<[^>]+>", "|", row) for row in re.findall(r"<tr.*?</tr>", page)]


def test_the_page_of_a_robustness_run_has_the_worst_kinds_first(broken):
    page = write_robustness_report(broken).read_text()
    rows = cells(page)
    by_change, by_kind = rows[1:3], rows[4:]
    assert [row.strip("|").split("|")[0] for row in by_change] == ["typing errors", "other words"]
    assert "joins" in by_kind[0]
    assert "typing errors" in by_kind[0]
    assert "+75.0 of 8" in by_kind[0]
    drops = [float(row.split("+")[1].split(" ")[0]) for row in by_kind if "+" in row]
    assert drops == sorted(drops, reverse=True)


def test_a_runs_report_has_the_table_of_a_robustness_run_inside_it(broken):
    run = broken.parents[1]
    (run / "recipe.json").write_text("{}")
    page = write_report(run).read_text()
    assert "Where text-to-SQL breaks" in page
    assert "evals/broken" in page
    (broken / "robustness.json").write_text("{")
    assert "Where text-to-SQL breaks" not in write_report(run).read_text()
    with pytest.raises(ChakuError, match=r"robustness\.json"):
        write_robustness_report(broken)


def test_names_and_missing_numbers_cannot_break_the_page(broken):
    content = {"breakages": [{"change": "<script>x</script>", "kind": "all"}, {"kind": 7, "drop": "x", "pairs": None}]}
    (broken / "robustness.json").write_text(json.dumps(content))
    page = write_robustness_report(broken).read_text()
    assert "<script>x" not in page
    assert "&lt;script&gt;" in page
