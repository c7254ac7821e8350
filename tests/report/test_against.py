"""Two runs on one page: the settings that differ, every shared figure with its difference, and the errors."""

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from chaku.cli import main
from chaku.errors import ChakuError
from chaku.report import write_comparison
from chaku.report.differences import different_settings, score_pairs
from chaku.report.run import read_run
from report.conftest import put, write_measure, write_score
from report.test_page import rows_of, section


def make(root: Path, passed: list[bool], share: float, recipe: dict[str, Any]) -> Path:
    put(root / "recipe.json", {"stages": {"base": {"parent": None}}, **recipe})
    write_score(root, "base", "first_steps", sum(passed), len(passed))
    write_measure(root, "base", "shop", {"ex": share, "counts": {"scored": 120}})
    folder = root / "evals" / "base" / "first_steps"
    folder.mkdir(parents=True)
    shutil.copy(root / "evals" / "base" / "first_steps.json", folder / "results.json")
    lines = [{"task_id": f"first/{index}", "index": 0, "passed": right} for index, right in enumerate(passed)]
    (folder / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    one = make(tmp_path / "a", [False] * 20 + [True] * 4, 0.1, {"seed": 1, "model": {"path": "m"}})
    return one, make(tmp_path / "b", [False] * 4 + [True] * 20, 0.5, {"seed": 1, "model": {"preset": "demo"}})


def test_each_difference_stands_with_its_interval(two: tuple[Path, Path]) -> None:
    path = write_comparison(*two)
    assert path == two[1] / "compare-with-a.html"
    page = ElementTree.fromstring(path.read_text().removeprefix("<!DOCTYPE html>"))
    rows = {tuple(row[:3]): row[3:] for row in rows_of(section(page, "scores"))}
    passed = rows["first_steps", "pass@1", "base"]
    assert passed[:3] == ["16.7%", "83.3%", "+66.7 points better"]
    low, high = map(float, passed[3].split(" to "))
    assert 40 < low < 66.7 < high < 90
    assert rows["text-to-SQL", "execution accuracy", "base"] == ["10.0%", "50.0%", "+40.0 points better", "–"]
    assert "Of the 1 with samples, b is better in 1 and worse in 0 by more than chance" in "".join(page.itertext())


def test_settings_that_differ_stand_alone(two: tuple[Path, Path]) -> None:
    page = ElementTree.fromstring(write_comparison(*two).read_text().removeprefix("<!DOCTYPE html>"))
    rows = rows_of(section(page, "settings"))[1:]
    assert rows == [["model.path", "m", "–"], ["model.preset", "–", "demo"]]
    assert different_settings({"a": {"b": [1]}}, {"a": {"b": [1], "new": None}}) == []


def test_what_was_measured_differently_is_said(two: tuple[Path, Path]) -> None:
    results = two[1] / "evals" / "base" / "first_steps" / "results.json"
    content = json.loads(results.read_text())
    results.write_text(json.dumps(content | {"manifest": content["manifest"] | {"prompt_form": "chat"}}))
    [pair] = [pair for pair in score_pairs(*map(read_run, two)) if pair.benchmark == "first_steps"]
    assert len(pair.unlike) == 1
    assert "prompt_form" in pair.unlike[0]
    assert "Measured differently" in write_comparison(*two).read_text()


def test_a_run_without_samples_is_compared_without_intervals(two: tuple[Path, Path]) -> None:
    shutil.rmtree(two[0] / "evals" / "base" / "first_steps")
    [pair] = [pair for pair in score_pairs(*map(read_run, two)) if pair.benchmark == "first_steps"]
    assert pair.interval is None
    assert "None has samples" in write_comparison(*two).read_text()


def test_losses_of_both_runs_share_a_chart(run_dir: Path, tmp_path: Path) -> None:
    other = shutil.copytree(run_dir, tmp_path / "second")
    page = ElementTree.fromstring(write_comparison(run_dir, other).read_text().removeprefix("<!DOCTYPE html>"))
    figures = section(page, "curves").findall(".//figure")
    assert len(figures) == 5 * 4  # of each stage: training, and three held-out sets
    names = [path.findtext("title") for path in figures[0].iter("path")]
    assert names == ["demo", "second"]
    assert "the same recipe" in "".join(section(page, "settings").itertext())


def test_mistakes_say_what_to_type(two: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = map(str, two)
    assert main(["report", "--compare", one, other]) == 0
    assert capsys.readouterr().out.strip() == str(two[1] / "compare-with-a.html")
    assert main(["report", "--compare", one, str(tmp_path / "none")]) == 2
    assert "is not a run" in capsys.readouterr().err
    for words in (
        ["report"],
        ["report", "--compare", one],
        ["report", one, "--beside", other, "--compare", one, other],
    ):
        with pytest.raises(SystemExit):
            main(words)
        assert "--compare" in capsys.readouterr().err
    with pytest.raises(ChakuError, match="the same run"):
        write_comparison(two[0], two[0])
