"""Finds documents that repeat a benchmark's problem: its text, its 10-grams of code tokens, or its solution's function.

A single shared 10-gram proves nothing (`for i in range(len(x)):` has more tokens), so that half of a passage's must be
there. Every check begins with the shared 10-grams, which one pass over a document finds.
"""

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chaku.corpus.cleaning.token_grams import GramTable, token_grams
from chaku.corpus.reading.text import matches
from chaku.evals.problems import Problem

MIN_SHARE = 0.5  # of the 10-grams of a passage
SOME_SHARE = 0.1  # of the 10-grams of a solution, for a comparison of functions
MIN_CHARACTERS = 40  # of a passage, without white space, for the check by substring
MIN_SOLUTION_TOKENS = 30  # many people write the same shorter function
MAX_DISTANCE = 0.2  # edits, as a share of the tokens of the longer function
SUBSTRING, GRAMS, FUNCTION = "substring", "10-grams", "function"  # the rules

_STRINGS = re.compile(r'"""(?:[^"]|"(?!""))*+"""|\'\'\'(?:[^\']|\'(?!\'\'))*+\'\'\'')
_COMMENT = re.compile(r"(?m)^[ \t]*#.*\n|[ \t]+#[^'\"\n]*$")
_DEF = re.compile(r"def[ \t]+(\w+)")
_LINE = re.compile(r"\n([ \t]*)(\S)?")
_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Hit:
    """A document repeats `problem`, as `rule` found."""

    problem: str
    rule: str


@dataclass(frozen=True)
class _Passage:
    problem: str
    compact: bytes
    num_grams: int
    function: tuple[str, ...]  # the tokens of a solution in Python; empty for the text of a problem


class Decontamination:
    """Looks for the problems in documents. Memory: about 12 bytes for each 10-gram of all problems."""

    def __init__(self, problems: Sequence[Problem]):
        self.num_problems = len(problems)
        self._passages: list[_Passage] = []
        self._by_name: dict[str, list[int]] = {}
        hashes, owners = [], []
        for problem in problems:
            for text, function in _passages(problem):
                grams, compact = token_grams(text)
                unique = np.unique(grams)
                if not len(unique):
                    continue
                place = len(self._passages)
                hashes.append(unique)
                owners.append(np.full(len(unique), place, np.int32))
                self._passages.append(_Passage(problem.name, compact, len(unique), function))
                if function and problem.job is not None:
                    self._by_name.setdefault(problem.job.entry_point, []).append(place)
        every = np.concatenate(hashes) if hashes else np.empty(0, np.uint64)
        order = np.argsort(every, kind="stable")
        grams, self._firsts = np.unique(every[order], return_index=True)
        self._firsts = np.append(self._firsts, len(every))
        self._grams = GramTable(grams)
        self._owners = np.concatenate(owners)[order] if owners else np.empty(0, np.int32)
        self._num_grams = np.array([passage.num_grams for passage in self._passages])

    def find(self, text: str, language: str) -> Hit | None:
        """The first problem that a document repeats, the surest rule first; None for a document that repeats none."""
        if not self._passages:
            return None
        found = self._grams.find(text)
        if len(found):
            starts, ends = self._firsts[found], self._firsts[found + 1]
            owners = [self._owners[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
            counts = np.bincount(np.concatenate(owners), minlength=len(self._passages))
            shares = counts / self._num_grams
            best = int(np.argmax(shares))
            if shares[best] >= MIN_SHARE:
                passage = self._passages[best]
                whole = len(passage.compact) >= MIN_CHARACTERS and passage.compact in token_grams(text)[1]
                return Hit(passage.problem, SUBSTRING if whole else GRAMS)
        if language != "Python":
            return None
        return self._function(text, np.flatnonzero(shares >= SOME_SHARE).tolist() if len(found) else [])

    def _function(self, text: str, shared: list[int]) -> Hit | None:
        """A function that differs little from a solution with the same name, or with some of the same 10-grams."""
        near = [place for place in shared if self._passages[place].function]
        for name, source in functions(text, None if near else self._by_name):
            tokens = code_tokens(source)
            if len(tokens) >= MIN_SOLUTION_TOKENS:
                for place in dict.fromkeys((*self._by_name.get(name, ()), *near)):
                    solution = self._passages[place].function
                    limit = int(MAX_DISTANCE * max(len(solution), len(tokens)))
                    if distance(tokens, solution, limit) <= limit:
                        return Hit(self._passages[place].problem, FUNCTION)
        return None


def _passages(problem: Problem) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(text, tokens of the function) of each part of a problem that a document may repeat."""
    yield problem.text, ()
    for solution in problem.solutions:
        tokens = code_tokens(solution)
        body = _STRINGS.split(solution)[-1]  # what follows the docstring
        if len(tokens) >= MIN_SOLUTION_TOKENS and len(code_tokens(body)) >= MIN_SOLUTION_TOKENS:
            yield body, tokens
        elif len(tokens) >= MIN_SOLUTION_TOKENS:
            yield solution, tokens


def functions(text: str, names: Container[str] | None = None) -> Iterator[tuple[str, str]]:
    """(name, source) of the functions of a Python file, or of those with these names, by their indentation.

    The file need not parse.
    """
    for match in matches(_DEF, "def", text):
        start = text.rfind("\n", 0, match.start()) + 1
        before = text[start : match.start()]
        if (names is not None and match[1] not in names) or before.strip() not in ("", "async"):
            continue
        indent = len(before) - len(before.lstrip())
        ends = (
            line.start()
            for line in _LINE.finditer(text, match.end())
            if line[2] and line[2] not in ")]}#" and len(line[1]) <= indent
        )
        yield match[1], text[start : next(ends, len(text))]


def code_tokens(source: str) -> tuple[str, ...]:
    """The tokens of code, without docstrings and comments."""
    return tuple(_TOKEN.findall(_COMMENT.sub("\n", _STRINGS.sub("", source))))


def distance(left: Sequence[str], right: Sequence[str], limit: int) -> int:
    """The least number of tokens to insert, delete or replace; `limit + 1` when it is over the limit (Ukkonen 1985)."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before = list(range(len(right) + 1))
    for row, token in enumerate(left, 1):
        start, end = max(1, row - limit), min(len(right), row + limit)
        now = [limit + 1] * (len(right) + 1)
        now[0] = row
        for column in range(start, end + 1):
            now[column] = min(
                before[column - 1] + (token != right[column - 1]), before[column] + 1, now[column - 1] + 1
            )
        if min(now[start - 1 : end + 1]) > limit:
            return limit + 1
        before = now
    return min(before[-1], limit + 1)
