"""Work shows how much is done, how fast, and how long it still takes: as a bar on a terminal, as lines elsewhere."""

import io
import os
import pty
import re
import subprocess
import sys
import time
from itertools import count

import pytest
from rich.console import Console

from chaku import console

PROGRAM = """
import time
from chaku.console import progress
with progress("code", 3000, "tokens", initial=1000) as bar:
    for step in range(8):
        time.sleep(0.15)
        bar.advance(200, f"loss {step}.5")
"""


def test_on_a_terminal_there_is_a_bar_with_rate_and_time_left():
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    child = subprocess.Popen([sys.executable, "-c", PROGRAM], stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # how a terminal ends
        pass
    os.close(ours)
    assert child.wait() == 0
    text = shown.decode()
    assert "code" in text
    assert "/3k tokens" in text
    assert "k/s" in text
    assert "0:00:00" in text  # left
    assert "loss 7.5" in text


@pytest.fixture
def lines(monkeypatch):
    """What is said, with three seconds between two looks at the clock."""
    clock = count(time.monotonic(), 3.0)
    monkeypatch.setattr("chaku.console.time.monotonic", lambda: next(clock))
    file = io.StringIO()
    monkeypatch.setattr(console, "_console", Console(file=file, width=200))
    return lambda: file.getvalue().splitlines()


def test_elsewhere_there_are_lines(lines):
    with console.progress("code", 1000, "tokens", initial=500) as bar:
        for _ in range(10):
            bar.advance(20, "loss 2.5")
    *during, last = lines()
    assert re.fullmatch(r"code:  60% 600 tokens, [\d.]+ tokens/s, \d:\d\d left loss 2\.5", during[0])
    assert last.startswith("code: 700 tokens in 0:")


def test_one_of_a_unit_is_not_written_in_the_plural(lines):
    with console.progress("run", 2, "programs") as bar:
        bar.advance(1)
    assert lines()[-1].startswith("run: 1 program in 0:")


def test_quiet_is_quiet(lines, monkeypatch):
    monkeypatch.setattr(console, "_quiet", True)
    with console.progress("code", 10, "tokens") as bar:
        bar.advance(10)
    console.say("news")
    console.show_table("title", ["a"], [["b"]])
    assert lines() == []


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (999.9, "1k"), (4096, "4.1k"), (999_900, "1M"), (3.2e6, "3.2M"), (15e8, "1.5G")],
)
def test_short(number, text):
    assert console.short(number) == text
