"""Finds the query in a model's reply among fences, prose, prefixes and explanations."""

import re
from collections.abc import Iterator

from chaku.sql.execute.parse import Refused, parse

_FENCE = re.compile(r"(?:```|~~~)[ \t]*(?:\w+[ \t]*\n)?(.*?)(?:```|~~~|\Z)", re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
# A WITH must name a query: "With the tables above ..." is prose.
_CTE = r"""with\s+(?:recursive\s+)?[\w"\[\]]+\s*(?:\([^()]*\)\s*)?as\s*(?:(?:not\s+)?materialized\s*)?\("""
_BEGIN = rf"(?:select\b|{_CTE})"
_ANYWHERE = re.compile(rf"\b{_BEGIN}", re.IGNORECASE)
_PREFIX = r"[*_]{0,2}(?:\w+[ \t]+)?(?:sql|sqlite|query|answer)(?:[ \t]+query)?[ \t]*:[*_]{0,2}[ \t]*"  # **SQL query:**
_LINE_BEGIN = re.compile(rf"^[ \t]*(?:[>*-][ \t]+)?(?:{_PREFIX})?(?P<query>{_BEGIN})", re.IGNORECASE | re.MULTILINE)
_PROSE_LINE = re.compile(r"\n[ \t]*(?:[>*-][ \t]+)?([A-Z][a-z]+)\b")
_KEYWORDS = frozenset(
    """and as asc between by case cross desc distinct else end except exists from full group having in inner intersect
    is join left like limit natural not offset on or order outer right select then union using when where""".split()  # noqa: SIM905
)


def extract_sql(text: str) -> str:
    """The first text in a reply that parses as a query; else the first that looks like a query; else the whole reply.

    Searches fences, then inline code, then the beginnings of lines, then the whole text. A query ends at its
    semicolon, at a blank line, or at a line of prose.
    """
    first = ""
    for found in _found(text):
        query = _first_paragraph(found)
        for shorter in (query, _before_prose(query)):
            if shorter and _parses(shorter):
                return shorter
        first = first or query
    return first or text.strip()


def _found(text: str) -> Iterator[str]:
    for block in _FENCE.finditer(text):
        if begin := _ANYWHERE.search(block[1]):
            yield block[1][begin.start() :]
    for span in _INLINE.finditer(text):
        if begin := _ANYWHERE.match(span[1].strip()):
            yield span[1].strip()
    for begin in _LINE_BEGIN.finditer(text):
        yield text[begin.start("query") :]
    anywhere = list(_ANYWHERE.finditer(text))
    for begin in sorted(anywhere, key=lambda place: not place[0].isupper()):  # capitals first: prose has "select"
        yield text[begin.start() :]


def _first_paragraph(text: str) -> str:
    return _until_semicolon(re.split(r"\n\s*\n", text.strip())[0]).strip()


def _until_semicolon(text: str) -> str:
    """The text before the first semicolon outside quotes."""
    return re.match(r"(?:'(?:[^']|'')*(?:'|$)|\"[^\"]*(?:\"|$)|`[^`]*(?:`|$)|[^;'\"`])*", text)[0]  # type: ignore[index]


def _before_prose(query: str) -> str:
    """The lines before the first line that begins like a sentence; empty without such a line."""
    for line in _PROSE_LINE.finditer(query):
        if line[1].lower() not in _KEYWORDS:
            return query[: line.start()].strip()
    return ""


def _parses(query: str) -> bool:
    try:
        parse(query)
    except Refused:
        return False
    return True
