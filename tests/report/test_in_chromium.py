"""The report in a real browser: tables sort, a phone needs no sideways scrolling, paper shows closed boxes."""

from pathlib import Path

import pytest

from chaku.report import write_report
from page_visitor import CHROMIUM

pytest.importorskip("playwright", reason="without playwright (chaku[dev]) the report is NOT tested in a browser")
from playwright.sync_api import sync_playwright

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="without Chromium the report is NOT tested in a browser: apt-get install chromium"
)


def test_the_report_in_a_browser(run_dir: Path) -> None:
    url = write_report(run_dir).as_uri()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page(viewport={"width": 390, "height": 844})
        logged: list[str] = []
        page.on("console", lambda message: logged.append(message.text))
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert page.locator("figure .narrow svg").first.is_visible()
        assert not page.locator("figure .wide svg").first.is_visible()

        corpus = page.locator("#corpus table").first
        before = corpus.locator("tbody th").all_inner_texts()
        assert before[-1] == "all"
        text = corpus.locator("thead button", has_text="text").first
        text.click()
        sizes = corpus.locator("tbody tr td:nth-child(4)").all_inner_texts()[:-1]
        assert sizes == sorted(sizes, key=bytes_of)
        assert corpus.locator("tbody th").last.inner_text() == "all"
        text.click()
        assert corpus.locator("tbody tr td:nth-child(4)").all_inner_texts()[:-1] == sizes[::-1]
        text.click()
        assert corpus.locator("tbody th").all_inner_texts() == before

        time = page.locator("#time table")
        time.locator("thead button", has_text="time").click()
        seconds = time.locator("tbody tr td:nth-child(2)").all_inner_texts()[:-1]
        assert seconds.index("29.0 s") < seconds.index("2 min 8 s") < seconds.index("6 min 11 s")

        page.locator(".how").first.click()  # opens the closed box that it leads to
        assert page.locator("#how-first_steps").is_visible()
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator("nav").is_visible()
        assert logged == []
        browser.close()


def bytes_of(size: str) -> float:
    number, unit = size.split()
    return float(number) * {"B": 1, "kB": 1e3, "MB": 1e6}[unit]
