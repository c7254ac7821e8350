"""The query in a model's reply, whatever stands around it: fences, prose, a prefix, an explanation."""

import re
from collections.abc import Iterator

from chaku.sql.execute.parse import Refused, parse

_FENCE = re.compile(r"(?:```|~~~)[ \t]*(?:\w+[ \t]*\n)?(.*?)(?:```|~~~|\Z)", re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
# "With the tables above ..." is prose: a WITH names a query.
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
    """The query in a reply: the first that parses of those that are found, else the first, else all of the text.

    Looked for in fences, in inline code, at the beginning of lines, then anywhere. A query ends at its semicolon, a
    blank line, or a line of prose.
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
    for begin in sorted(anywhere, key=lambda place: not place[0].isupper()):  # prose has "select", a query SELECT
        yield text[begin.start() :]


def _first_paragraph(text: str) -> str:
    return _until_semicolon(re.split(r"\n\s*\n", text.strip())[0]).strip()


def _until_semicolon(text: str) -> str:
    """Up to the first semicolon outside quotes."""
    return re.match(r"(?:'(?:[^']|'')*(?:'|$)|\"[^\"]*(?:\"|$)|`[^`]*(?:`|$)|[^;'\"`])*", text)[0]  # type: ignore[index]


def _before_prose(query: str) -> str:
    """The query's lines before the first that begins like a sentence; empty where none does."""
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
