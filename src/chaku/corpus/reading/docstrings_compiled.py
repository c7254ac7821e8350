"""The lexer of `docstrings`, compiled by numba. It finds the same strings, comments and headers of blocks."""

from collections.abc import Callable
from typing import TypeVar

import numba
import numpy as np

from chaku.corpus.reading.docstrings_constants import FOUND, MIN_CHARACTERS, UNDECIDED, UNFINISHED

_Function = TypeVar("_Function", bound=Callable[..., object])
_compiled: Callable[[_Function], _Function] = numba.njit(cache=True, nogil=True)

_NEWLINE, _SPACE, _TAB, _FEED, _BACKSLASH = 10, 32, 9, 12, 92
_DOUBLE, _SINGLE, _HASH, _COLON, _OPEN, _CLOSE, _COMMA, _DOT = 34, 39, 35, 58, 40, 41, 44, 46
_MAYBE = 63  # "?": a character beyond ASCII, which may be a letter, white space or neither
_MAX_BLOCKS = 200  # one in another


def _code(word: str) -> int:
    code = 0
    for letter in word:
        code = code * 128 + ord(letter)
    return code


_DEF, _CLASS, _IF, _ELIF, _ELSE, _FOR = map(_code, ("def", "class", "if", "elif", "else", "for"))
_WHILE, _TRY, _EXCEPT, _FINALLY, _WITH = map(_code, ("while", "try", "except", "finally", "with"))
_MATCH, _CASE, _ASYNC, _PRINT, _EXEC, _RAISE = map(_code, ("match", "case", "async", "print", "exec", "raise"))


@_compiled
def _is_word(byte: int) -> bool:
    return 97 <= byte <= 122 or 65 <= byte <= 90 or 48 <= byte <= 57 or byte == 95


@_compiled
def _is_space(byte: int) -> bool:
    """As `str.isspace`."""
    return byte == _SPACE or 9 <= byte <= 13 or 28 <= byte <= 31


@_compiled
def _is_prefix(byte: int) -> bool:
    """A letter before a quote: one of bfru, small or capital."""
    lower = byte | 32
    return lower == 98 or lower == 102 or lower == 114 or lower == 117


@_compiled
def _lex(data: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> int:
    """Write where comments and strings start and stop; returns their number, or -1 for a string without an end."""
    size = len(data)
    count = at = 0
    while at < size:
        byte = data[at]
        if byte == _HASH:
            end = at + 1
            while end < size and data[end] != _NEWLINE:
                end += 1
        elif byte in (_DOUBLE, _SINGLE):
            end = at + 1
            if end + 1 < size and data[end] == byte and data[end + 1] == byte:
                end += 2
                while not (end + 2 < size and data[end] == byte and data[end + 1] == byte and data[end + 2] == byte):
                    end += 1 + (end < size and data[end] == _BACKSLASH)
                    if end >= size:
                        return -1
                end += 3
            else:
                while end < size and data[end] != byte:
                    if data[end] == _NEWLINE:
                        return -1
                    end += 1 + (data[end] == _BACKSLASH)
                if end >= size:
                    return -1
                end += 1
        else:
            at += 1
            continue
        starts[count], stops[count] = at, end
        count += 1
        at = end
    return count


@_compiled
def _spaces_end(data: np.ndarray, at: int) -> int:
    while at < len(data) and (data[at] == _SPACE or data[at] == _TAB):
        at += 1
    return at


@_compiled
def _name_end(data: np.ndarray, at: int) -> int:
    """The end of a name with dots, of letters of any script."""
    while at < len(data) and (_is_word(data[at]) or data[at] == _DOT or data[at] == _MAYBE):
        at += 1
    return at


@_compiled
def _is_at(data: np.ndarray, at: int, byte: int) -> bool:
    return at < len(data) and data[at] == byte


@_compiled
def _keyword(data: np.ndarray, at: int) -> tuple[int, int]:
    """(code of the word in small letters at a place, its end); the code 0 for a longer word than a keyword."""
    code = 0
    end = at
    while end < len(data) and _is_word(data[end]):
        code = code * 128 + data[end] if end - at < 8 else 0
        end += 1
    return (code if end - at < 8 else 0), end


@_compiled
def _is_python_2(data: np.ndarray, code: int, end: int) -> bool:
    """Whether a statement may be of Python 2 only: print, exec, raise, or except with a comma."""
    spaces = _spaces_end(data, end)
    if spaces >= len(data):
        return False
    after = data[spaces]
    if code in (_PRINT, _EXEC):
        if code == _PRINT and after == 62 and _is_at(data, spaces + 1, 62):
            return True
        return spaces > end and (_is_word(after) or after in (_MAYBE, _DOUBLE, _SINGLE) or after == 96)
    if code == _EXCEPT and after == _OPEN:
        stop = spaces + 1
        while stop < len(data) and data[stop] != _CLOSE:
            stop += 1
        return _is_at(data, _spaces_end(data, stop + 1), _COMMA)
    if (code in (_RAISE, _EXCEPT)) and spaces > end:
        stop = _name_end(data, spaces)
        return stop > spaces and _is_at(data, _spaces_end(data, stop), _COMMA)
    return False


@_compiled
def _find_headers(
    data: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    num_tokens: int,
    places: np.ndarray,
    depths: np.ndarray,
    named: np.ndarray,
) -> int:
    """Write the place of each header, its depth, and whether it names a function or class; returns their number.

    -1 when only the search in Python can tell.
    """
    widths, words = np.empty(_MAX_BLOCKS, np.int64), np.empty(_MAX_BLOCKS, np.int64)
    levels, inner = np.empty(_MAX_BLOCKS, np.int64), np.empty(_MAX_BLOCKS, np.int64)
    count = num_open = token = 0
    for newline in range(len(data)):
        if data[newline] != _NEWLINE:
            continue
        at = newline + 1
        width = 0
        while at < len(data) and (data[at] == _SPACE or data[at] == _TAB or data[at] == _FEED):
            if data[at] == _SPACE:
                width += 1
            elif data[at] == _TAB:
                width += 8 - width % 8
            at += 1
        if at >= len(data) or not 97 <= data[at] <= 119:
            continue
        code, end = _keyword(data, at)
        if code in (_PRINT, _EXEC, _RAISE):
            is_header = False
        elif code == _ASYNC:
            second = _spaces_end(data, end)
            word, stop = _keyword(data, second)
            if second == end or word not in (_DEF, _FOR, _WITH):
                continue
            is_header, end = True, stop
            code = _DEF if word == _DEF else _ASYNC
        else:
            is_header = code in (
                _DEF,
                _CLASS,
                _IF,
                _ELIF,
                _ELSE,
                _FOR,
                _WHILE,
                _TRY,
                _EXCEPT,
                _FINALLY,
                _WITH,
                _MATCH,
                _CASE,
            )
            if not is_header:
                continue
        while token < num_tokens and stops[token] <= newline:
            token += 1
        if token < num_tokens and starts[token] <= newline:
            continue  # in a string
        if _is_at(data, end, _MAYBE) or _is_python_2(data, code, end):
            return -1
        if not is_header:
            continue
        before = before_levels = 0
        while num_open and widths[num_open - 1] >= width:
            num_open -= 1
            same = widths[num_open] == width
            before = words[num_open] if same else 0
            before_levels = levels[num_open] if same else 0
        level = 1
        if code == _ELIF and before:
            level = before_levels + 1
        elif code == _ELSE and (before in (_IF, _ELIF)):
            level = before_levels
        elif code == _EXCEPT:
            level = 2
        if num_open == _MAX_BLOCKS:
            return -1
        depth = (inner[num_open - 1] if num_open else 0) + level
        widths[num_open], words[num_open], levels[num_open], inner[num_open] = width, code, level, depth
        num_open += 1
        name = _spaces_end(data, end)
        if _is_at(data, name, _MAYBE):
            return -1
        is_named = (code in (_DEF, _CLASS)) and name > end and name < len(data) and _is_word(data[name])
        places[count], depths[count], named[count] = at, depth, is_named
        count += 1
    return count


@_compiled
def _code_before(data: np.ndarray, starts: np.ndarray, stops: np.ndarray, token: int, place: int) -> int:
    """The place of the last character before `place` that is neither white space nor in a comment; -1 for none."""
    place -= 1
    while place >= 0:
        if _is_space(data[place]):
            place -= 1
            continue
        while token >= 0 and starts[token] > place:
            token -= 1
        if token < 0 or stops[token] <= place or data[starts[token]] != _HASH:
            return place
        place = starts[token] - 1
    return -1


@_compiled
def ends_header(data: np.ndarray, starts: np.ndarray, stops: np.ndarray, header: int, colon: int) -> bool:
    """Whether the colon is the first one after `header` that is not in brackets, a string or a comment."""
    depth, at = 0, header
    token = np.searchsorted(starts, header)
    while at <= colon:
        if token < len(starts) and starts[token] == at:
            at = stops[token]
            token += 1
            continue
        byte = data[at]
        if byte == _OPEN or byte == 91 or byte == 123:
            depth += 1
        elif byte == _CLOSE or byte == 93 or byte == 125:
            depth -= 1
        elif byte == _COLON and depth == 0:
            return at == colon
        at += 1
    return False


@_compiled
def _may_end_header(
    data: np.ndarray, starts: np.ndarray, stops: np.ndarray, places: np.ndarray, named: np.ndarray, colon: int
) -> bool:
    number = np.searchsorted(places, colon, side="right") - 1
    return bool(number >= 0 and named[number] and ends_header(data, starts, stops, places[number], colon))


@_compiled
def _may_be_docstring(
    data: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    places: np.ndarray,
    named: np.ndarray,
    token: int,
    start: int,
) -> bool:
    """Whether what is before a string can be the header of its block, the beginning of the file, or cannot be told."""
    place = _code_before(data, starts, stops, token - 1, start)
    if place < 0 or data[place] == _MAYBE:
        return True
    if data[place] == _COLON:
        return _may_end_header(data, starts, stops, places, named, place)
    if data[place] != _OPEN:
        return False
    place = _code_before(data, starts, stops, token - 1, place)
    if place < 0 or data[place] == _MAYBE:
        return True
    return data[place] == _COLON and _may_end_header(data, starts, stops, places, named, place)


@_compiled
def find_candidates(
    data: np.ndarray,
) -> tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(FOUND or why nothing is, candidates, starts and stops of all tokens, places, depths and names of the headers).

    `data`: the text as bytes, "?" for a character beyond ASCII. `candidates`: the tokens that may be docstrings.
    """
    starts, stops = np.empty(len(data) // 2 + 2, np.int64), np.empty(len(data) // 2 + 2, np.int64)
    none, nowhere = np.empty(0, np.int64), np.empty(0, np.bool_)
    num_tokens = _lex(data, starts, stops)
    if num_tokens < 0:
        return UNFINISHED, none, none, none, none, none, nowhere
    starts, stops = starts[:num_tokens].copy(), stops[:num_tokens].copy()
    candidates = np.empty(num_tokens, np.int64)
    count = 0
    for token in range(num_tokens):
        stop = stops[token]
        after = data[stop] if stop < len(data) else 0
        goes_on = after in (_SPACE, _TAB, _DOUBLE, _SINGLE, _BACKSLASH)
        if data[starts[token]] != _HASH and (stop - starts[token] > MIN_CHARACTERS or goes_on):
            candidates[count] = token
            count += 1
    if not count:
        return FOUND, none, none, none, none, none, nowhere
    num_lines = 0
    for byte in data:
        num_lines += byte == _NEWLINE
    places, depths, named = np.empty(num_lines, np.int64), np.empty(num_lines, np.int64), np.empty(num_lines, np.bool_)
    num_headers = _find_headers(data, starts, stops, num_tokens, places, depths, named)
    if num_headers < 0:
        return UNDECIDED, none, none, none, none, none, nowhere
    places, depths, named = places[:num_headers], depths[:num_headers], named[:num_headers]
    kept = 0
    for number in range(count):
        token = candidates[number]
        possible = False
        for end in range(starts[token], starts[token] - 1 - (data[starts[token] - 1] == _NEWLINE), -1):
            start = end
            while not possible and start > end - 3:
                possible = _may_be_docstring(data, starts, stops, places, named, token, start)
                start -= 1
                if start < 0 or not _is_prefix(data[start]):
                    break
        if possible:
            candidates[kept] = token
            kept += 1
    return FOUND, candidates[:kept].copy(), starts, stops, places.copy(), depths.copy(), named.copy()
