"""Numbers about a document that the filters ask for, each computed once, at the speed of C where it can be."""

import ast
import re
import warnings
from collections.abc import Callable, Iterator
from functools import cached_property
from symtable import symtable

import numpy as np

from chaku.corpus.compiled import kernels

_LETTERS = bytes(code for code in range(128) if chr(code).isalpha())
_DIGITS = b"0123456789"
_SPACES = b" \t\n\r\f\v"

# Characters of a run become "a", all others a space: a search for "aaa..." is then as fast as memory allows.
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_BASE64 = bytes(ord("a") if code in _BASE64 else 32 for code in range(256))
_IN_BASE64 = np.array([code in _BASE64 for code in range(256)], np.int64)
_TO_BASE64_LINES = bytes(ord("a") if code in _BASE64 + b"\n=" else 32 for code in range(256))
_TO_HEXADECIMAL = bytes(ord("a") if code in b"0123456789abcdefABCDEF" else 32 for code in range(256))
_TO_HEXADECIMAL_RUNS = bytes(
    ord("a") if code in b"0123456789abcdefABCDEFx\\, \t\n\r\f\v" else 32 for code in range(256)
)
_TO_BYTES = bytes(
    ord("a") if code > 127 or chr(code).isspace() or code in b"0123456789abcdefABCDEFx\\," else 32
    for code in range(256)
)
_IN_HEXADECIMAL = b"x\\, \t\n\r\f\v"  # what may stand between the digits of a hexadecimal run

# StarCoder2, section 4.3. A possessive quantifier (`*+`) never tries again what it has matched.
_HEXADECIMAL = re.compile(r"(?:\b(?:0x|\\x)?[0-9a-fA-F]{2}(?:,|\b\s*+)){8,}+")
_UNICODE = re.compile(r"(?:\\u[0-9a-fA-F]{4}){8,}+")

# The marks of a comment: to the end of its line, and around a block. None: no such comments.
_C = ("//", "/*", "*/")
_MARKS = {
    **dict.fromkeys(
        ("Python", "Shell", "Perl", "Ruby", "R", "YAML", "Makefile", "CMake", "Tcl", "Julia", "TOML"), ("#", None, None)
    ),
    **dict.fromkeys(("SQL", "Ada", "VHDL"), ("--", None, None)),
    "Lua": ("--", "--[[", "]]"),
    "Haskell": ("--", "{-", "-}"),
    **dict.fromkeys(("TeX", "Matlab", "Erlang", "Prolog"), ("%", None, None)),
    **dict.fromkeys(("HTML", "XML", "SVG", "Markdown"), (None, "<!--", "-->")),
}
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_HIDDEN = re.compile(r"<(!--|script\b|style\b)", re.I)
_CLOSING = {"!--": "-->", "script": "</script", "style": "</style"}
_TAG = re.compile(r"<[^<>]*+>")


class Facts:
    """A document and its numbers. `path` and `text` as in the corpus."""

    def __init__(self, text: str, path: str, kind: str, language: str):
        self.text, self.path, self.kind, self.language = text, path, kind, language

    @cached_property
    def raw(self) -> bytes:
        """The text in UTF-8."""
        return self.text.encode()

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def num_lines(self) -> int:
        return (int(self._counted[0][10]) if self._counted else self.text.count("\n")) + 1

    def has_line_over(self, limit: int) -> bool:
        """Whether a line has more than `limit` characters. Looks at one line break in so many characters."""
        text, end, start = self.text, len(self.text), 0
        while end - start > limit:
            start = text.rfind("\n", start, start + limit + 1) + 1 or end + 1
        return start > end

    @cached_property
    def mean_line(self) -> float:
        """Characters."""
        return len(self.text) / self.num_lines

    @cached_property
    def first_lines(self) -> str:
        """The first five lines, where StarCoder2 looks for the words of generators."""
        end = -1
        for _ in range(5):
            if (end := self.text.find("\n", end + 1)) < 0:
                return self.text
        return self.text[:end]

    @cached_property
    def letters(self) -> float:
        """The share of letters, of any script, in the characters."""
        return self._share(_LETTERS, str.isalpha)

    def has_letters(self, share: float) -> bool:
        """Whether `letters` is at least `share`. Letters beyond ASCII are counted only where they decide."""
        if counted := self._counted:
            count = int(counted[0][np.frombuffer(_LETTERS, np.uint8)].sum())
            if self.text and count >= share * len(self.text):
                return True
        return self.letters >= share

    @cached_property
    def letters_and_digits(self) -> float:
        return self._share(_LETTERS + _DIGITS, str.isalnum)

    @cached_property
    def digits(self) -> float:
        return self._share(_DIGITS, str.isdecimal)

    @cached_property
    def spaces(self) -> float:
        return self._share(_SPACES, str.isspace)

    def _share(self, among: bytes, wide: Callable[[str], bool]) -> float:
        """The share of characters that are in `among`, or, beyond ASCII, for which `wide` is true."""
        if counted := self._counted:
            count = int(counted[0][np.frombuffer(among, np.uint8)].sum())
        else:
            count = len(self.raw) - len(self.raw.translate(None, among))
        if not self.text.isascii():
            codes = np.frombuffer(self.text.encode("utf-32-le"), "<u4")
            letters, times = np.unique(codes[codes > 127], return_counts=True)
            count += sum(
                many for letter, many in zip(letters.tolist(), times.tolist(), strict=True) if wide(chr(letter))
            )
        return count / max(1, len(self.text))

    def has_base64_line(self, length: int) -> bool:
        """Whether a line has a run of so many base64 characters."""
        if counted := self._counted:
            return bool(counted[1] >= length)
        return b"a" * length in self.raw.translate(_TO_BASE64)

    @cached_property
    def may_have_bytes(self) -> bool:
        """Whether 32 bytes such as `0x1f` or `\\x1f` may follow each other, with white space and commas."""
        return self.num_hexadecimal >= 32 and b"a" * 128 in self.raw.translate(_TO_BYTES)

    @cached_property
    def num_hexadecimal(self) -> int:
        """How often `0x` and `\\x` occur."""
        return self._counted[2] if self._counted else self.text.count("0x") + self.text.count("\\x")

    @cached_property
    def num_unicode(self) -> int:
        """How often `\\u` occurs."""
        return self._counted[3] if self._counted else self.text.count("\\u")

    @cached_property
    def _counted(self) -> tuple[np.ndarray, int, int, int] | None:
        """What `count_bytes` returns, the runs those of base64 in a line; None without numba."""
        if (compiled := kernels()) is None:
            return None
        found: tuple[np.ndarray, int, int, int] = compiled.count_bytes(np.frombuffer(self.raw, np.uint8), _IN_BASE64)
        return found

    def is_encoded(self, longest: int, share: float) -> bool:
        """Whether a base64, hexadecimal or \\u run as StarCoder2 matches them is longer, or all are a larger share.

        Most files have no such run, and cheap searches tell so before a pattern is tried.
        """
        runs: list[int] = []
        limit = share * len(self.text)
        if b"a" * 64 in (base64 := self.raw.translate(_TO_BASE64_LINES)):
            runs += [len(run) for run in base64.split() if len(run) >= 64]
        if b"a" * 16 in self.raw.translate(_TO_HEXADECIMAL, _IN_HEXADECIMAL):
            possible = [len(run) for run in self.raw.translate(_TO_HEXADECIMAL_RUNS).split() if len(run) >= 23]
            if max(possible, default=0) > longest or sum(possible) + sum(runs) > limit:
                runs += [len(match[0]) for match in _HEXADECIMAL.finditer(self.text)]
        if self.num_unicode >= 8:
            runs += [len(match[0]) for match in _UNICODE.finditer(self.text)]
        return max(runs, default=0) > longest or sum(runs) > limit

    @cached_property
    def comments(self) -> float:
        """The share of characters in comments that fill whole lines, and in block comments."""
        mark, opening, closing = _MARKS.get(self.language, _C)
        size = sum(len(line) for line in self.full_lines if mark and line.startswith(mark))
        if opening and closing:
            size += sum(end - start for start, end in _blocks(self.text, opening, closing))
        return size / max(1, len(self.text))

    @cached_property
    def visible(self) -> str:
        """The text of an HTML page that a browser shows."""
        text, lower, parts, at = self.text, self.text.lower(), [], 0
        if len(lower) != len(text):  # a letter whose small form is two characters
            lower = text
        for match in _HIDDEN.finditer(text):
            if match.start() >= at:
                parts.append(text[at : match.start()])
                end = lower.find(_CLOSING[match[1].lower()], match.end())
                at = end + 3 if end >= 0 else len(text)
        parts.append(text[at:])
        return " ".join(_TAG.sub(" ", " ".join(parts)).split())

    @cached_property
    def full_lines(self) -> list[str]:
        """The lines that are not blank, without the white space around them."""
        return [line for full in self.lines if (line := full.strip())]

    @cached_property
    def repeated_lines(self) -> float:
        """The share of lines that an earlier line repeats; blank lines do not count."""
        return 1 - len(set(self.full_lines)) / max(1, len(self.full_lines))

    @cached_property
    def repeated_10_grams(self) -> float:
        """The share of the words' characters that lie in a sequence of ten words that occurs more than once."""
        words = self.text.split()
        if len(words) <= 10:
            return 0.0
        hashes = np.fromiter(map(hash, words), np.int64, len(words)).view(np.uint64)
        grams = np.zeros(len(words) - 9, np.uint64)  # polynomials of the words' hashes, modulo 2**64
        for start in range(10):
            grams *= _FACTOR
            grams += hashes[start : start + len(grams)]
        order = np.argsort(grams)
        same = np.concatenate([[False], np.diff(grams[order]) == 0, [False]])
        places = order[same[1:] | same[:-1]]  # of the 10-grams that occur more than once
        if not len(places):
            return 0.0
        begins = np.zeros(len(words) + 1, np.int8)  # such 10-grams that begin, less those that end, at a word
        begins[places] += 1
        begins[places + 10] -= 1
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        return float(lengths[np.cumsum(begins[:-1], dtype=np.int64) > 0].sum() / lengths.sum())

    def lines_with(self, pattern: re.Pattern[str]) -> float:
        """The share of the lines that are not blank which begin with the pattern."""
        return sum(1 for line in self.full_lines if pattern.match(line)) / max(1, len(self.full_lines))

    @cached_property
    def parses(self) -> bool:
        """Whether the text is valid Python."""
        # The symbol table's maker parses without the tree as Python objects, which takes half of the parser's time. It
        # refuses some texts that parse.
        return self._is_accepted(lambda text: symtable(text, "", "exec")) or self._is_accepted(ast.parse)

    def _is_accepted(self, parse: Callable[[str], object]) -> bool:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of invalid escapes
                parse(self.text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
        return True


def _blocks(text: str, opening: str, closing: str) -> Iterator[tuple[int, int]]:
    """Where blocks between two marks start and end. A block that never ends is none."""
    at = text.find(opening)
    while at >= 0 and (end := text.find(closing, at + len(opening))) >= 0:
        yield at, end + len(closing)
        at = text.find(opening, end + len(closing))
