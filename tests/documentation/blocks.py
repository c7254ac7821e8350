"""The code blocks of the documentation."""

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(r"(<!-- runs -->\n\s*)?^( *)```(\w*)\n(.*?)^\2```", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """`runs`: a comment before it says that a test runs it."""

    page: str
    language: str
    text: str
    runs: bool


def blocks(page: Path) -> list[Block]:
    """Every block of a page, without the indentation of a list around it."""
    found = _FENCE.finditer(page.read_text(encoding="utf-8"))
    name = page.relative_to(ROOT).as_posix()
    return [Block(name, match[3], textwrap.dedent(match[4]), bool(match[1])) for match in found]


BLOCKS = [block for page in PAGES for block in blocks(page)]
