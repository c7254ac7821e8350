"""The whole page: everything that the run holds is in it, escaped, and nothing is fetched or run."""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from chaku.errors import ChakuError
from chaku.report import write_report
from chaku.report.page import render
from chaku.report.run import read_run

SECTIONS = ["achieved", "family", "curves", "stages", "results", "samples", "corpus", "time", "details"]


def parse(path: Path) -> ElementTree.Element:
    """The page is well-formed XML too, so a stray < anywhere is an error here."""
    return ElementTree.fromstring(path.read_text(encoding="utf-8").removeprefix("<!DOCTYPE html>"))


def text_of(node: ElementTree.Element) -> str:
    return "".join(node.itertext())


def section(page: ElementTree.Element, anchor: str) -> ElementTree.Element:
    found = page.find(f".//section[@id='{anchor}']")
    assert found is not None
    return found


def rows_of(node: ElementTree.Element) -> list[list[str]]:
    return [[text_of(cell) for cell in row] for row in node.iter("tr")]


def test_a_finished_run_is_shown_whole(run_dir: Path) -> None:
    path = write_report(run_dir)
    assert path == run_dir / "report.html"
    page = parse(path)
    assert [node.get("id") for node in page.iter("section")] == SECTIONS
    assert [node.get("href") for node in page.findall(".//nav/a")] == [f"#{anchor}" for anchor in SECTIONS]
    facts = [text_of(node) for node in page.findall(".//ul[@class='facts']/li")]
    assert facts == ["5.23M parameters", "10.1M training tokens in 5 stages", "13 min 5 s in all"]
    assert "8 minutes, of which some are for held-out losses and saving: 6.82M tokens at the" in text_of(page)
    assert page.find(".//div[@class='warning']") is None


def test_the_page_is_one_file_with_one_script(run_dir: Path) -> None:
    path = write_report(run_dir)
    page = parse(path)
    assert {node.tag for node in page.iter()}.isdisjoint({"link", "img", "iframe", "object", "base", "form"})
    for node in page.iter():
        assert not any(key.startswith("on") or key == "src" for key in node.attrib)
        assert node.get("href", "#").startswith("#")
    style = page.find("head/style")
    assert style is not None
    assert style.text is not None
    assert "url(" not in style.text
    assert "@import" not in style.text
    assert "prefers-color-scheme: dark" in style.text
    policy = page.find("head/meta[@http-equiv='Content-Security-Policy']")
    assert policy is not None
    [script] = page.iter("script")
    assert script.attrib == {}
    assert script.text is not None
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    assert policy.get("content") == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def test_every_class_has_a_style(run_dir: Path) -> None:
    page = parse(write_report(run_dir))
    style = text_of(page.find("head/style"))  # type: ignore[arg-type]
    used = {name for node in page.iter() for name in (node.get("class") or "").split()}
    used.discard("sorts")  # it is for the script
    unstyled = {name for name in used if not re.search(rf"\.{name}\b", style)}
    assert unstyled == set()


def test_the_family_tree_joins_children_to_parents(run_dir: Path) -> None:
    tree = section(parse(write_report(run_dir)), "family").find(".//svg")
    assert tree is not None
    label = "Family tree: base, code from base, long from code, python from code, python-long from python"
    assert tree.get("aria-label") == label
    assert len(tree.findall("path[@class='edge']")) == 4
    boxes = [node for node in tree.findall("rect") if node.get("class") == "box"]
    corners = {(node.get("x"), node.get("y")) for node in boxes}
    assert len(boxes) == len(corners) == 5


def test_curves_begin_where_the_parent_ended(run_dir: Path) -> None:
    chart = section(parse(write_report(run_dir)), "curves").find(".//svg")
    assert chart is not None
    ends = {}
    for path in chart.iter("path"):
        if (path.get("class") or "").startswith("line "):
            points = [tuple(map(float, point.split())) for point in (path.get("d") or "")[1:].split("L")]
            ends[path.findtext("title")] = (points[0][0], points[-1][0])
    assert set(ends) == {"base", "code", "long", "python", "python-long"}
    for child, parent in (("code", "base"), ("long", "code"), ("python", "code"), ("python-long", "python")):
        assert ends[child][0] == pytest.approx(ends[parent][1], abs=4)
        assert ends[child][1] > ends[child][0]


def test_stage_rows_carry_settings_time_and_throughput(run_dir: Path) -> None:
    rows = rows_of(section(parse(write_report(run_dir)), "stages"))
    settings, speed = (row for row in rows if row[0] == "long")
    heads = [row for row in rows if row[0] == "stage"]
    row = dict(zip(heads[0] + heads[1], settings + speed, strict=True))
    assert row["from"] == "code"
    assert row["context"] == "2,048"
    assert row["rotary base"] == "1M"
    assert row["peak learning rate"] == "3.3e-4"
    assert row["infilled tokens"] == "62%"
    assert row["tokens/s"] == "14.1k"
    assert row["MFU"] == "62%"


def test_the_papers_rows_are_marked_as_its_own(run_dir: Path) -> None:
    results = section(parse(write_report(run_dir)), "results")
    marked = {tuple(text_of(cell) for cell in row) for row in results.iter("tr") if row.get("class") == "paper"}
    assert ("paper: Code Llama 7B", "33.5%", "–", "") in marked
    assert ("paper: Code Llama - Python 7B", "38.4%", "–", "") in marked
    assert ("16k tokens", "54.7%", "100.0%", "98.4%") in marked
    assert any(row[2:4] == ("77.0%", "83.3%") for row in marked)
    for row in results.iter("tr"):
        if "paper" in text_of(row):
            assert row.get("class") == "paper"


def test_results_of_each_benchmark(run_dir: Path) -> None:
    results = section(parse(write_report(run_dir)), "results")
    rows = rows_of(results)
    assert ["Python", "428 kB", "1.900", "2.100", "1.980", "1.860", "1.740", "1.620"] in rows
    assert ["long", "200", "8.0%", "9.0%", "4.0%"] in rows
    assert ["long", "512 tokens", "30.0%", "60.0%", "0.0%", "20.0%", "10.0%", "30.0%"] in rows
    assert ["python", "12.5%", "3 of 24", "19 failed, 3 passed, 2 timed out"] in rows
    assert ["prompt_form", "all", "<unstripped>"] in rows
    best = [text_of(cell) for cell in results.iter("td") if cell.get("class") == "best"]
    assert "1.620" in best
    assert "2.100" not in best


def test_samples_mark_what_the_model_wrote(run_dir: Path) -> None:
    articles = section(parse(write_report(run_dir)), "samples").findall("article")
    assert len(articles) == 3
    written = [text_of(node) for article in articles for node in article.iter("mark")]
    assert written[0] == "    if n < 2:\n        return n\n"
    assert written[1].startswith("Return the string without <non-ASCII>")
    code = articles[1].find(".//code")
    assert code is not None
    assert text_of(code).startswith("def remove_non_ascii")
    assert text_of(code).endswith("\n    return result\n")


def test_corpus_by_language_and_what_was_dropped(run_dir: Path) -> None:
    rows = rows_of(section(parse(write_report(run_dir)), "corpus"))
    assert ["Python", "code", "2,330", "21 MB", "47", "428 kB", "44.5%", ""] in rows
    assert ["exact duplicate", "1,113", "15.1%", "6.1 MB", "Python 812, C 301", ""] in rows
    assert ["not utf8", "9", "0.1%", "81 kB", "", ""] in rows
    assert ["too large", "14", "0.2%", "31 MB", "JavaScript 14", "a.js; b.js (32 MB)"] in rows
    assert ["GitHub token", "2", "3"] in rows
    assert "Checked against 1,138 problems of benchmarks." in write_report(run_dir).read_text(encoding="utf-8")


def test_times_and_rates(run_dir: Path) -> None:
    rows = rows_of(section(parse(write_report(run_dir)), "time"))
    assert ["corpus", "21.5 s", "3%", "", "47 MB", "2.19 MB/s"] in rows
    assert ["train code", "6 min 11 s", "47%", "", "5.24M tokens", "14.1k tokens/s"] in rows
    assert ["eval base", "31.0 s", "4%", "", "5 benchmarks", "6.2 s each"] in rows


def test_hostile_text_stays_text(run_dir: Path) -> None:
    evil = "</code></pre><script>alert('x')</script>\"&amp;\x00\x1b[31m\ud800\u202e"
    own = [script.text for script in parse(write_report(run_dir)).iter("script")]

    def poison(value: object) -> object:
        if isinstance(value, dict):
            # the keys that the report reads stay; names of languages, verdicts and sets are keys as well
            kept = {"by_language", "verdicts", "heldout_loss"}
            return {
                key: {evil: poison(next(iter(item.values())))} if key in kept else poison(item)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [poison(item) for item in value]
        return evil if isinstance(value, str) and value not in ("infill", "train", "code") else value

    for path in [*run_dir.rglob("*.json"), *run_dir.rglob("metrics.jsonl")]:
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        path.write_text("".join(json.dumps(poison(json.loads(line))) + "\n" for line in lines))
    page = parse(write_report(run_dir))
    assert [script.text for script in page.iter("script")] == own
    shown = text_of(page)
    assert shown.count("<script>alert('x')</script>\"&amp;␀␛[31m\ufffd⟨U+202E⟩") > 20


@pytest.mark.parametrize(
    "missing", ["recipe.json", "budget.json", "corpus", "stages", "evals", "samples.json", "timings.json"]
)
def test_a_missing_part_is_said_not_fatal(run_dir: Path, missing: str) -> None:
    path = run_dir / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = parse(write_report(run_dir))
    assert [node.get("id") for node in page.iter("section")] == SECTIONS
    expected = {
        "corpus": "No corpus was built.",
        "evals": "Not run: ",
        "samples.json": "No samples were written.",
        "timings.json": "No step was timed.",
        "stages": "not run",
    }
    assert expected.get(missing, "5 of 5 stages finished.") in text_of(page)


def test_an_empty_directory_gives_a_page_that_says_so(tmp_path: Path) -> None:
    page = parse(write_report(tmp_path))
    assert "Nothing trained yet." in text_of(page)
    assert "No stage was run." in text_of(section(page, "family"))
    assert "Not run: Held-out text: bits per byte; " in text_of(section(page, "results"))


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", "null", '"text"', '{"stages": 3, "kept": [1], "tokens": NaN}', "[" * 9999]
)
def test_broken_files_never_stop_the_report(run_dir: Path, content: str) -> None:
    for path in [*run_dir.rglob("*.json"), *run_dir.rglob("*.jsonl")]:
        path.write_text(content)
    assert [node.get("id") for node in parse(write_report(run_dir)).iter("section")] == SECTIONS


def test_a_broken_file_is_named(run_dir: Path) -> None:
    (run_dir / "timings.json").write_text('[{"name": "cor')
    with (run_dir / "stages" / "long" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 61, "lo')
    warning = parse(write_report(run_dir)).find(".//div[@class='warning']")
    assert warning is not None
    assert "timings.json could not be read" in text_of(warning)
    assert "stages/long/metrics.jsonl: 1 broken line(s) left out" in text_of(warning)


WRONG: list[object] = [None, "text", -1, 1e308, [], {}, [[]], [None, "x"], True]


def places(value: object) -> Iterator[tuple[object, ...]]:
    """The way to every value inside a JSON value, as keys and indices."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield (key,)
        yield from ((key, *rest) for rest in places(item))


@pytest.mark.parametrize("shift", [0, *(pytest.param(shift, marks=pytest.mark.slow) for shift in (1, 2))])
def test_a_value_of_a_wrong_type_never_stops_the_report(run_dir: Path, shift: int) -> None:
    """Every value of every file, in turn, alone, is replaced by something that does not belong there."""
    for path in run_dir.rglob("metrics.jsonl"):
        path.write_text("\n".join(path.read_text().splitlines()[-12:]))
    for stage in ("long", "python", "python-long"):  # one stage and its parent are enough, and quicker to show
        shutil.rmtree(run_dir / "stages" / stage)
        shutil.rmtree(run_dir / "evals" / stage)
    names = (
        "recipe.json",
        "budget.json",
        "samples.json",
        "timings.json",
        "corpus/summary.json",
        "stages/code/stage.json",
    )
    tried = 0
    for path in [*(run_dir / name for name in names), *(run_dir / "evals" / "code").glob("*.json")]:
        original = path.read_text()
        for way in places(json.loads(original)):
            changed = at = json.loads(original)
            for key in way[:-1]:
                at = at[key]
            at[way[-1]] = WRONG[(tried + shift * 3) % len(WRONG)]
            tried += 1
            path.write_text(json.dumps(changed))
            ElementTree.fromstring(render(read_run(run_dir)).removeprefix("<!DOCTYPE html>"))
        path.write_text(original)
    assert tried > 300


def test_what_was_left_out_is_said_with_what_would_help(run_dir: Path) -> None:
    assert "These parts were left out" not in text_of(parse(write_report(run_dir)))
    left_out = [
        {"part": "benchmark humaneval", "why": "g++ is missing", "how_to_get": "apt-get install g++"},
        {"part": "stage sql", "why": "its parent is left out", "how_to_get": ""},
        {"part": ["broken"]},
    ]
    (run_dir / "left_out.json").write_text(json.dumps(left_out))
    warning = parse(write_report(run_dir)).find(".//div[@class='warning']")
    assert warning is not None
    assert "These parts were left out" in text_of(warning)
    rows = rows_of(warning)
    assert ["benchmark humaneval", "g++ is missing", "apt-get install g++"] in rows
    assert ["stage sql", "its parent is left out", "–"] in rows


def test_an_unfinished_and_a_planned_stage(run_dir: Path) -> None:
    (run_dir / "stages" / "python" / "stage.json").unlink()
    shutil.rmtree(run_dir / "stages" / "python-long")
    page = parse(write_report(run_dir))
    assert "3 of 5 stages finished." in text_of(page)
    statuses = {row[0]: row[1:3] for row in rows_of(section(page, "stages")) if len(row) == 8}
    assert statuses["python"] == ["code", "unfinished"]
    assert statuses["python-long"] == ["python", "not run"]


def test_a_circle_of_parents_still_gives_a_page(run_dir: Path) -> None:
    path = run_dir / "stages" / "base" / "stage.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"parent": "long"}))
    page = parse(write_report(run_dir))
    assert len([row for row in rows_of(section(page, "stages")) if len(row) == 8]) == 6


def test_a_path_that_is_no_directory_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ChakuError, match="is not a run directory"):
        write_report(tmp_path / "absent")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ChakuError, match="is not a run directory"):
        write_report(tmp_path / "file")
