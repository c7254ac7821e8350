"""Functions that look at every byte of a text to clean it, compiled by numba; each returns what its plain form does."""

from collections.abc import Callable
from typing import TypeVar

import numba
import numpy as np

from chaku.corpus.reading.docstrings_compiled import ends_header, find_candidates

__all__ = ["count_bytes", "ends_header", "find_beginnings", "find_candidates", "find_grams", "find_personal_marks"]

_Function = TypeVar("_Function", bound=Callable[..., object])
_compiled: Callable[[_Function], _Function] = numba.njit(cache=True, nogil=True)
_AT, _DOT, _COLON, _SLASH, _BACKSLASH, _NULL, _U, _X = map(ord, "@.:/\\0ux")
_HOME, _USERS = ord("h"), ord("U")
_ZERO = np.uint64(0)


@_compiled
def count_bytes(data: np.ndarray, in_run: np.ndarray) -> tuple[np.ndarray, int, int, int]:
    """(How often each byte occurs, (256,) int64; the longest run for which `in_run` is 1; `0x` and `\\x`; `\\u`)."""
    counts = np.zeros(256, np.int64)
    run = longest = num_hexadecimal = num_unicode = 0
    before = np.uint8(0)
    for byte in data:
        counts[byte] += 1
        run = (run + 1) * in_run[byte]
        longest = max(longest, run)
        if byte == _X:
            num_hexadecimal += before in (_NULL, _BACKSLASH)
        elif byte == _U:
            num_unicode += before == _BACKSLASH
        before = byte
    return counts, longest, num_hexadecimal, num_unicode


@_compiled
def find_beginnings(
    data: np.ndarray, likely: np.ndarray, spread: int, words: np.ndarray, ends: np.ndarray, endings: np.ndarray
) -> np.ndarray:
    """Which `words` (four bytes each, as uint32) and `endings` occur, (num_words + num_endings,) bool.

    `likely`, `ends`: as in `secrets`. `endings`: two or three bytes each, before which no letter, digit or `_` stands.
    """
    found = np.zeros(len(words) + len(endings), np.bool_)
    word = np.uint32(0)
    for at in range(len(data)):
        word = np.uint32(word >> np.uint32(8)) | np.uint32(np.uint32(data[at]) << np.uint32(24))
        if likely[np.uint32(np.uint32(word * np.uint32(spread)) >> np.uint32(16))] and at >= 3:
            for place in range(len(words)):
                if words[place] == word:
                    found[place] = True
        if ends[word >> np.uint32(16)]:
            for place in range(len(endings)):
                size = 3 if endings[place] >> np.uint32(16) else 2
                before = np.uint8((word >> np.uint32(24 - 8 * size)) & np.uint32(255))
                if word >> np.uint32(32 - 8 * size) == endings[place] and not _is_letter(before):
                    found[len(words) + place] = True
    return found


@_compiled
def find_personal_marks(data: np.ndarray, digit: np.ndarray, local: np.ndarray) -> tuple[bool, bool, np.ndarray, bool]:
    """Whether a text may hold an e-mail or IPv4 address; where IPv6 addresses may start, int64; whether a user's path.

    `digit`: (256,) uint8, the sum of 1 for a decimal and 2 for a hexadecimal digit. `local`: (256,) bool, the bytes of
    the name in an address.
    """
    email = ipv4 = path = False
    ipv6 = [0 for _ in range(0)]
    for at in range(len(data) - 1):
        byte = data[at]
        if byte == _AT:
            email |= at > 0 and local[data[at - 1]]
        elif byte == _DOT:
            if not ipv4 and digit[data[at + 1]] & 1:
                ipv4 = _has_parts(data, at, digit)
        elif byte == _COLON:
            if at > 0 and digit[data[at - 1]] and digit[data[at + 1]]:
                start = _first_group(data, at, digit)
                if start >= 0:
                    ipv6.append(start)
        elif byte in (_SLASH, _BACKSLASH):
            path |= data[at + 1] == _HOME or data[at + 1] == _USERS
    return email, ipv4, np.array(ipv6), path


@_compiled
def _first_group(data: np.ndarray, colon: int, digit: np.ndarray) -> int:
    """Where the group before a colon starts, if it may be an IPv6 address's first: another follows, and a digit."""
    start = colon - 1
    while start >= 0 and digit[data[start]]:
        start -= 1
    if colon - start > 5 or (start >= 0 and (data[start] == _COLON or data[start] == _DOT or _is_letter(data[start]))):
        return -1
    end = colon + 1
    while end < len(data) and digit[data[end]]:
        end += 1
    if end - colon > 5 or end + 1 >= len(data) or data[end] != _COLON:
        return -1
    end += 1 + (data[end + 1] == _COLON)
    return start + 1 if end < len(data) and digit[data[end]] else -1


@_compiled
def _is_letter(byte: np.integer) -> bool:
    return bool(97 <= byte <= 122 or 65 <= byte <= 90 or 48 <= byte <= 57 or byte == 95)


@_compiled
def _has_parts(data: np.ndarray, at: int, digit: np.ndarray) -> bool:
    """Whether a dot begins `.N.N.N`, with one to three decimal digits in the first two parts."""
    for _ in range(2):
        end = at + 1
        while end < len(data) and digit[data[end]] & 1:
            end += 1
        if not 1 <= end - at - 1 <= 3 or end >= len(data) or data[end] != _DOT:
            return False
        at = end
    return bool(at + 1 < len(data) and (digit[data[at + 1]] & 1) > 0)


@_compiled
def find_grams(
    data: np.ndarray,
    classes: np.ndarray,
    numbers: np.ndarray,
    powers: np.ndarray,
    possible: np.ndarray,
    table: np.ndarray,
) -> np.ndarray:
    """The places in `table` of the 10-grams of a text that are there; (num_found,) int64, with repeats.

    `classes`, `powers`: as in `token_grams`. `numbers`, `possible`, `table`: as in `GramTable`. The first loop has no
    branch, and the second no step that waits for the one before: half of the time of one loop.
    """
    prime, mix, possible_shift, table_shift = numbers
    sums, places = np.empty(len(data) + 1, np.uint64), np.empty(len(data) + 1, np.int64)
    total = _ZERO
    num_tokens = length = before = np.int64(0)
    for byte in data:
        sums[num_tokens], places[num_tokens] = total, length
        of = classes[byte]
        kind = np.int64(of >> np.uint16(8))
        num_tokens += np.int64((kind == 2) | ((kind == 1) & (before != 1)))
        before = kind
        longer = total * prime + np.uint64(of & np.uint16(255))
        total = longer if kind != 0 else total
        length += kind != 0
    sums[num_tokens], places[num_tokens] = total, length
    found = np.empty(num_tokens, np.int64)
    num_found = 0
    for token in range(num_tokens - 9):
        span = places[token + 10] - places[token]
        power = powers[min(span, len(powers) - 1)]
        for _ in range(len(powers) - 1, span):
            power *= prime
        gram = sums[token + 10] - sums[token] * power
        gram ^= (gram >> np.uint64(29)) * mix
        first = gram >> possible_shift
        if possible[first >> np.uint64(3)] >> np.uint8(first & np.uint64(7)) & 1:
            place = np.int64(gram >> table_shift)
            while table[place] != gram and table[place] != _ZERO:
                place = (place + 1) & (len(table) - 1)
            if table[place] == gram:
                found[num_found] = place
                num_found += 1
    return found[:num_found].copy()
