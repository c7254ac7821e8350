"""The docstrings of Python code, without parsing it: the parser takes ten times as long as all the filters."""

import ast
import inspect
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from chaku.corpus.compiled import kernels
from chaku.corpus.reading.docstrings_constants import FOUND, MIN_CHARACTERS, UNFINISHED

# Comments and strings; a lone quote is none of them. Raw strings too: there, a backslash keeps its quote as well.
_TOKEN = re.compile(
    r"""\#[^\n]*
    |\"\"\"[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*\"\"\"
    |'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''
    |"(?!"")[^"\\\n]*(?:\\.[^"\\\n]*)*"
    |'(?!'')[^'\\\n]*(?:\\.[^'\\\n]*)*'
    |["']""",
    re.X | re.S,
)
# The lines that begin a compound statement, or a statement of Python 2 only.
_HEADER = re.compile(
    r"\n([ \t\f]*)(?=[a-fimprtw])(?:(async[ \t]+(?:def|for|with)|def|class|if|elif|else|for|while|try|except|finally"
    r"|with|match|case)\b|((?:print|exec)[ \t]+[\w\"'`]|print[ \t]*>>|raise[ \t]+[\w.]+[ \t]*,))"
)
_OLD_EXCEPT = re.compile(r"except[ \t]+[\w.]+[ \t]*,|except[ \t]*\([^)]*\)[ \t]*,")
_NAME = re.compile(r"(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)")
_END = re.compile(r"[ \t\f]*(?:#[^\n]*)?(?:\n|;|$)")
_GOES_ON = {" ", "\t", '"', "'", "\\"}  # after a short string: perhaps another one follows, and both are a docstring
_INDENTS = re.compile(r"\n( *)(?=[^ \n])")
_OTHER_SPACES = re.compile(r"[\t\r\f\v\x1c-\x1f]")
_PREFIX = re.compile(r"(?<![\w.])[rRuUbBfF]{1,2}$")


class _Unsure(Exception):
    """Only the parser can tell."""


@dataclass(frozen=True, slots=True)
class _Lexed:
    """A text and what its lexer found. Arrays of int64 when numba compiled the lexer, else lists.

    `candidates`: the tokens that may be docstrings. `starts`, `stops`: of the tokens, which are comments and strings.
    `places`, `depths`, `named`: of the headers of blocks; their depth in the syntax tree; whether a header names a
    function or class.
    """

    text: str
    candidates: list[int]
    starts: Sequence[int]
    stops: Sequence[int]
    places: Sequence[int]
    depths: Sequence[int]
    named: Sequence[bool]
    compiled: ModuleType | None = None
    data: np.ndarray | None = None


def docstrings(text: str) -> str:
    """The docstrings of a module over 80 characters, with the names of functions and classes; "" for none.

    The outer ones come first, as in `ast.walk`. Where a file has syntax that this search does not know, the parser
    decides. A file that Python cannot parse has none, if it shows it: the search looks for unfinished strings and for
    statements of Python 2.
    """
    try:
        found = _search(text)
    except _Unsure:
        found = _parse(text)
    return "\n\n".join(found) + "\n" if found else ""


def _parse(text: str) -> list[str]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            words = ast.get_docstring(node)
            if words and len(words) > MIN_CHARACTERS:
                found.append(words if isinstance(node, ast.Module) else f"{node.name}: {words}")
    return found


def _search(text: str) -> list[str]:
    if "\r" in text:
        raise _Unsure
    text = f"\n{text}"  # every line follows a line break, for which a search is fast
    code = _lex_compiled(text, compiled) if (compiled := kernels()) else _lex(text)
    if not code.candidates:
        return []
    found = []
    starts, stops = code.starts, code.stops
    for token in code.candidates:
        start, stop = int(starts[token]), int(stops[token])
        if prefix := _PREFIX.search(text, max(0, start - 3), start):
            start = prefix.start()
        colon = _code_before(text, start, starts, stops, token)
        if colon >= 0 and text[colon] not in ":(":
            continue
        number = bisect_right(code.places, colon) - 1
        if colon >= 0 and text[colon] == "(":
            colon = _code_before(text, colon, starts, stops, token)
            if colon < 0 or (text[colon] == ":" and _is_header(code, number, colon)):
                raise _Unsure  # a docstring in brackets
            continue
        if colon >= 0 and not _is_header(code, number, colon):
            continue
        if not _END.match(text, stop):
            raise _Unsure  # strings in a row, or a larger expression
        if set(text[start : starts[token]]) & set("bBfF"):
            continue
        words = _value(text[start:stop], starts[token] - start)
        if len(words) > MIN_CHARACTERS or "\t" in words:
            words = _without_indents(words)
        if len(words) > MIN_CHARACTERS:
            place, depth = (int(code.places[number]), int(code.depths[number])) if colon >= 0 else (-1, 0)
            name = _NAME.match(text, place) if colon >= 0 else None
            found.append((depth, place, f"{name[1]}: {words}" if name else words))
    return [words for _, _, words in sorted(found)]


def _lex_compiled(text: str, compiled: ModuleType) -> _Lexed:
    data = np.frombuffer(text.encode("ascii", "replace"), np.uint8)
    result, candidates, starts, stops, places, depths, named = compiled.find_candidates(data)
    if result == UNFINISHED:
        raise _Unsure  # a quote without an end
    if result != FOUND:
        return _lex(text)
    return _Lexed(text, candidates.tolist(), starts, stops, places, depths, named, compiled, data)


def _lex(text: str) -> _Lexed:
    spans = [match.span() for match in _TOKEN.finditer(text)]
    starts = [start for start, _ in spans]
    stops = [stop for _, stop in spans]
    if any(stop - start == 1 and text[start] != "#" for start, stop in spans):
        raise _Unsure  # a quote without an end
    candidates = [
        token
        for token, (start, stop) in enumerate(spans)
        if (stop - start > MIN_CHARACTERS or text[stop : stop + 1] in _GOES_ON) and text[start] != "#"
    ]
    headers = _headers(text, starts, stops) if candidates else []
    places, depths, named = ([*column] for column in zip(*headers, strict=True)) if headers else ([], [], [])
    return _Lexed(text, candidates, starts, stops, places, depths, named)


def _headers(text: str, starts: list[int], stops: list[int]) -> list[tuple[int, int, bool]]:
    """(place, depth in the syntax tree, whether it names a function or class) of each compound statement's parts."""
    headers = []
    open_blocks: list[tuple[int, str, int, int]] = []  # indent, keyword, levels that it adds, depth of its body
    for match in _HEADER.finditer(text):
        token = bisect_right(starts, match.start()) - 1
        if token >= 0 and match.start() < stops[token]:
            continue  # in a string
        indent, keyword, _ = match.groups()
        if keyword is None or (keyword == "except" and _OLD_EXCEPT.match(text, match.start(2))):
            raise _Unsure  # perhaps Python 2
        width = len(indent.replace("\f", "").expandtabs(8)) if "\t" in indent or "\f" in indent else len(indent)
        before = None
        while open_blocks and open_blocks[-1][0] >= width:
            block = open_blocks.pop()
            before = block if block[0] == width else None
        levels = 1
        if keyword == "elif" and before:
            levels = before[2] + 1
        elif keyword == "else" and before and before[1] in ("if", "elif"):
            levels = before[2]
        elif keyword == "except":
            levels = 2
        depth = (open_blocks[-1][3] if open_blocks else 0) + levels
        open_blocks.append((width, keyword, levels, depth))
        headers.append((match.start(2), depth, _NAME.match(text, match.start(2)) is not None))
    return headers


def _code_before(text: str, place: int, starts: Sequence[int], stops: Sequence[int], token: int) -> int:
    """The place of the last character before `place` that is neither white space nor in a comment; -1 for none."""
    while True:
        before = text[max(0, place - 400) : place].rstrip()
        if not before and place > 400:
            place -= 400
            continue
        place = place - min(place, 400) + len(before) - 1
        token -= 1
        while token >= 0 and starts[token] > place:
            token -= 1
        if place < 0 or token < 0 or stops[token] <= place or text[starts[token]] != "#":
            return place
        place = starts[token]


def _is_header(code: _Lexed, number: int, colon: int) -> bool:
    """Whether the colon ends the header of a function or class, the last header before it."""
    if number < 0 or not code.named[number]:
        return False
    text, starts, at = code.text, code.starts, code.places[number]
    if code.compiled:
        return bool(code.compiled.ends_header(code.data, starts, code.stops, at, colon))
    depth, token = 0, bisect_right(starts, at)
    while at <= colon:
        if token < len(starts) and starts[token] == at:
            at = code.stops[token]
            token += 1
            continue
        letter = text[at]
        if letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == ":" and depth == 0:
            return at == colon
        at += 1
    return False


def _without_indents(words: str) -> str:
    """As `inspect.cleandoc`, which takes three times as long."""
    if not words.isascii() or _OTHER_SPACES.search(words):
        return inspect.cleandoc(words)
    margin = len(min(_INDENTS.findall(words), default=""))
    if not margin:
        return words.lstrip(" ").strip("\n")
    first, *others = words.split("\n")
    return "\n".join((first.lstrip(), *(line[margin:] for line in others))).strip("\n")


def _value(literal: str, prefix: int) -> str:
    """The value of a string literal whose prefix has that many letters."""
    if "\\" not in literal or literal[0] in "rR":
        size = 3 if literal[prefix : prefix + 3] in ('"""', "'''") and len(literal) >= prefix + 6 else 1
        return literal[prefix + size : -size]
    try:
        return str(ast.literal_eval(literal))
    except (SyntaxError, ValueError):
        raise _Unsure from None
