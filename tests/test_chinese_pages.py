"""The Chinese pages are true: their links, their figures, and what their commands print.

tests/cli/test_help.py parses their commands.
"""

import re
import shlex
import sqlite3
from pathlib import Path

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.cli import main
from chaku.synthetic.shop import write_database
from command_lines import split_lines

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.zh-CN.md", *sorted((ROOT / "docs" / "zh-CN").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
ENGLISH = [ROOT / "README.md", *sorted({*(ROOT / "docs").rglob("*.md")} - {*PAGES})]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))
NUMBER = re.compile(r"(?<![\w.])(?:\d[\d,_]*(?:\.\d+)?(?:e-?\d+)?|\.\d+)")
pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)


def numbers(text):
    """The numbers of a text, without separators and percent signs, in the form of Python's floats."""
    return {float(re.sub("[,_]", "", number)) for number in NUMBER.findall(text)}


def sections():
    """The numbers of each section of the English pages, and of each recipe."""
    for path in [*ENGLISH, *RECIPES]:
        text = path.read_text(encoding="utf-8")
        for part in re.split(r"^#+ ", text, flags=re.MULTILINE) if path.suffix == ".md" else [text]:
            yield numbers(part)


def missing_figures(line, known):
    """The figures of a line that its best section does not have; a percentage may stand there as a fraction."""
    prose = re.sub(r"\]\([^)]*\)|^\d+\. ", " ", line)
    figures = {figure for figure in numbers(prose) if figure >= 10 or figure != int(figure) or f"{figure:g}%" in prose}
    return min(({f for f in figures if not {f, f / 100} & section} for section in known), key=len)


def slug(heading):
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", [*PAGES, *ENGLISH], ids=lambda path: path.stem)
def test_links_lead_to_files_and_headings(page):
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8"))
    assert links or page not in PAGES
    for path, anchor in links:
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), path
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, f"{path}#{anchor}"


def test_the_readmes_lead_to_each_other():
    assert "(README.zh-CN.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(README.md)" in (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")


@pages
def test_the_figures_of_a_line_stand_in_one_section_of_the_english_pages(page):
    known = list(sections())
    for line in BLOCK.sub("", page.read_text(encoding="utf-8")).splitlines():
        assert missing_figures(line, known) == set(), line


def test_a_wrong_figure_is_noticed():
    known = list(sections())
    assert missing_figures("执行准确率从 0.0% 提高到了 56.7%。", known) == set()
    assert missing_figures("执行准确率从 0.0% 提高到了 57.93%。", known) == {57.93}
    assert missing_figures("135M，300 题，28.3%（23.5–34.1%）", known) == {34.1}  # 34.1 stands elsewhere


@pages
def test_the_outputs_are_those_of_the_commands(page, tmp_path, monkeypatch, capsys):
    """A block `text` is what the commands before it print, or stands word for word in README.md or docs/start.md.

    The answer of a real model is not asked for again: its query runs, and returns the rows that the page shows.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shop = tmp_path / "shop" / "shop" / "shop.sqlite"
    shop.parent.mkdir(parents=True)
    write_database(shop)
    english = (ROOT / "README.md", ROOT / "docs" / "start.md")
    readme = [line.strip() for page in english for line in page.read_text(encoding="utf-8").splitlines()]
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    for (_, before), (language, block) in zip([("", ""), *blocks], blocks, strict=False):
        shown = [line.strip() for line in block.splitlines()]
        if language == "toml":
            shop.with_suffix(".glossary.toml").write_text(block, encoding="utf-8")
        elif language == "text" and "--model" in before:
            rows = [str(row[0]) for row in sqlite3.connect(shop).execute(shown[0])]
            assert shown[2 : 2 + len(rows) + 1] == [*rows, next(line for line in shown if "找到" in line)]
        elif language == "text" and not set(shown) <= set(readme):
            for words in split_lines(before):
                assert main(words[1:]) == 0, shlex.join(words)
            assert [line.strip() for line in capsys.readouterr().out.splitlines()] == shown
