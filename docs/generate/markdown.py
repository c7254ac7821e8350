"""Tables and cells of Markdown."""

import re
from collections.abc import Iterable, Sequence
from html import escape


def cell(text: object) -> str:
    """A text for a table's cell: on one line, with its bars escaped."""
    return re.sub(r"\s+", " ", str(text)).replace("|", "\\|").strip()


def code(text: object) -> str:
    """A text as code in a table's cell; nothing for an empty text."""
    shown = cell(text)
    if "`" in shown:
        return f"<code>{escape(shown, quote=False).replace('`', '&#96;')}</code>"
    return f"`{shown}`" if shown else ""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table. Its cells are Markdown, as `cell` and `code` make them."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def words(docstring: str | None) -> str:
    """A docstring as Markdown: its paragraphs, without the indentation of the code. Angle brackets stay text."""
    lines = (docstring or "").strip().split("\n")
    text = "\n".join(line.strip() for line in lines)
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)


def as_document(text: str) -> str:
    """A file of the repository's root as a page of docs/: its links lose `docs/`, or become names without a link.

    Files outside docs/ are no pages, so a link to them would lead nowhere.
    """
    pages = {
        "README.md": "index.md",
        "README.zh-CN.md": "zh-CN/index.md",
        "CONTRIBUTING.md": "contributing.md",
        "SECURITY.md": "security.md",
        "CHANGELOG.md": "changelog.md",
    }

    def changed(match: re.Match[str]) -> str:
        name, path, place = match[1], match[2], match[3] or ""
        if "://" in path or not path:
            return match[0]
        if path in pages:
            return f"[{name}]({pages[path]}{place})"
        return f"[{name}]({path.removeprefix('docs/')}{place})" if path.startswith("docs/") else name

    return re.sub(r"\[([^]]*)\]\(([^)#\s]*)(#[^)\s]*)?\)", changed, text)
