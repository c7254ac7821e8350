"""Makes the pictures of the documentation from a run of the demo: `python -m docs.generate.pictures runs/demo`.

Needs playwright, Pillow and Chromium (chaku[dev] and the system's package). The page is a real server's, with the run's
model and shop.
"""

import io
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

IMAGES = Path(__file__).parent.parent / "images"
QUESTION = "How many customers are there in each country?"
PORT = 8813


def main(run: Path) -> None:
    """Write report.webp and page.webp."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        picture_of_report(browser, run / "report.html")
        picture_of_page(browser, run)
        browser.close()


def picture_of_report(browser: Browser, report: Path) -> None:
    """The top of the report, as a screen of 1,000 pixels shows it."""
    page = browser.new_page(viewport={"width": 1000, "height": 640})
    page.goto(report.resolve().as_uri())
    save(page.screenshot(), "report.webp")


def picture_of_page(browser: Browser, run: Path) -> None:
    """The server's page after one question to the shop."""
    model, shop = run / "stages" / "sql", run / "shop" / "shop" / "shop.sqlite"
    command = (sys.executable, "-m", "chaku", "serve", str(model), "--db", f"shop={shop}", "--port", str(PORT))
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        for line in server.stderr:  # it says its address when it answers
            if str(PORT) in line:
                break
        page = browser.new_page(viewport={"width": 1000, "height": 700})
        page.goto(f"http://127.0.0.1:{PORT}/")
        page.get_by_role("tab", name="Ask a database").click()
        page.get_by_placeholder("Ask").last.fill(QUESTION)
        page.get_by_role("button", name="Ask").last.click()
        page.get_by_text("Confidence").wait_for(timeout=300_000)
        save(page.screenshot(full_page=True), "page.webp")
    finally:
        server.terminate()
        server.wait()


def save(png: bytes, name: str) -> None:
    """Write a picture; WebP without loss takes a third of PNG's bytes for pages of text."""
    Image.open(io.BytesIO(png)).convert("RGB").save(IMAGES / name, lossless=True, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
