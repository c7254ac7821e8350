"""The report's first part: figures with what they were before, and none that is zero."""

from pathlib import Path
from typing import Any

from chaku.report import write_report
from chaku.report.achieved import Achievement, achievements
from chaku.report.run import read_run
from report.conftest import put, write_measure, write_score


def shop(share: float) -> dict[str, Any]:
    return {"ex": share, "counts": {"scored": 120}}


def test_a_family_shows_its_best_stage_beside_what_it_grew_from(run_dir: Path) -> None:
    figures = {figure.text.split(";")[0]: figure for figure in achievements(read_run(run_dir))}
    assert figures["bits per byte of held-out text, first by base, then by python-long"] == Achievement(
        "1.670", "bits per byte of held-out text, first by base, then by python-long; lower is better", "2.150"
    )
    hidden = "of hidden lines are written exactly by python-long when it sees the text after them (SPM)"
    assert figures[hidden].after == "18.0%"
    assert figures["small Python functions by python-long pass their tests"].after == "4 of 24"
    long_files = figures["perplexity at position 8,192 of long files, first of code, then of long"]
    assert (long_files.before, long_files.after) == ("260.0", "14.9")


def test_a_model_is_asked_about_the_shop_before_and_after(tmp_path: Path) -> None:
    put(tmp_path / "recipe.json", {"model": {"path": "models/small.gguf"}, "stages": {"sql": {"parent": None}}})
    write_measure(tmp_path, "sql", "shop", shop(0.525))
    write_measure(tmp_path, "model", "shop", shop(0.025))
    who = "first by small.gguf, then, after training, by sql"
    text = f"of 120 new questions about a shop's database are answered correctly: {who}"
    assert achievements(read_run(tmp_path)) == [Achievement("52.5%", text, "2.5%")]


def test_learning_from_answers_that_passed_stands_beside_learning_from_any(tmp_path: Path) -> None:
    put(tmp_path / "recipe.json", {"stages": {name: {} for name in ("base", "passed", "unfiltered")}})
    for stage, passed in (("base", 50), ("passed", 75), ("unfiltered", 51)):
        write_score(tmp_path, stage, "exercises", passed, 100)
    [figure] = achievements(read_run(tmp_path))
    assert (figure.before, figure.after) == ("50.0%", "75.0%")
    assert figure.text.startswith("of exercises are solved: first by base, then by passed")
    assert figure.text.endswith("(unfiltered 51.0%)")


def test_a_figure_of_zero_is_left_to_the_tables(tmp_path: Path) -> None:
    put(tmp_path / "recipe.json", {"stages": {"base": {}, "sql": {"parent": "base"}}})
    for stage in ("base", "sql"):
        write_measure(tmp_path, stage, "shop", shop(0.0))
        write_score(tmp_path, stage, "first_steps", 0, 24)
    assert achievements(read_run(tmp_path)) == []
    assert "0 of 24" in write_report(tmp_path).read_text()


def test_other_runs_stand_beside_with_links_to_their_reports(run_dir: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    put(own / "recipe.json", {"stages": {"sql": {}}})
    write_measure(own, "sql", "shop", shop(0.5))
    page = write_report(own, [run_dir]).read_text()
    assert page.index("new questions about a shop") < page.index("Beside it: demo") < page.index("Family tree</h2>")
    assert 'href="../demo/report.html"' in page


def test_the_commands_of_a_run_are_shown_to_copy(tmp_path: Path) -> None:
    put(tmp_path / "recipe.json", {"stages": {}})
    put(tmp_path / "commands.json", {"commands": [{"command": "chaku sql ask '<1>'", "about": "asks"}]})
    page = write_report(tmp_path).read_text()
    assert "chaku sql ask '&lt;1&gt;'" in page
