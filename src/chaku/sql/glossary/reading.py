"""Reads a question as a row of parts. Every word must have a part: a question with an unknown word is no rule's."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import product

from chaku.sql.glossary.dates import COUNTS, Period, find_period
from chaku.sql.glossary.function_words import find_part
from chaku.sql.glossary.lexicon import Lexicon, Meanings
from chaku.sql.glossary.text import tokens_of
from chaku.sql.schema.values import is_written
from chaku.sql.schema.words import CJK, stem

MAX_TOKENS = 40
MAX_READINGS = 16  # of words that are both a metric and a table


@dataclass(frozen=True)
class Part:
    """A part of a question. `kind`: m a metric, d a column or table, v a value, p a period, n a number, "," a comma, or
    a kind of `function_words`. `unit`: of a time. `plural`: whether the words are an English plural.
    """

    kind: str
    words: str
    meanings: Meanings | None = None
    period: Period | None = None
    unit: str = ""
    plural: bool = False

    @property
    def chinese(self) -> bool:
        return CJK.match(self.words) is not None


def read_parts(question: str, lexicon: Lexicon, today: date) -> Iterator[list[Part]]:
    """The ways to read a question; none if a word has no part."""
    tokens = tokens_of(question)
    if len(tokens) > MAX_TOKENS:
        return
    choices: list[list[Part]] = []
    at = 0
    while at < len(tokens):
        found = _part(question, tokens, at, choices, lexicon, today)
        if found is None:
            return
        parts, length = found
        choices += parts
        at += length
    count = 1
    for choice in choices:
        count *= len(choice)
    if count <= MAX_READINGS:
        yield from (list(parts) for parts in product(*choices))


def _part(
    question: str, tokens: list[str], at: int, before: list[list[Part]], lexicon: Lexicon, today: date
) -> tuple[list[list[Part]], int] | None:
    """The part at a token, as a list of choices for each part that it gives, and its number of tokens."""
    meanings = lexicon.find(question, tokens, at)
    is_count = bool(before) and before[-1][0].kind in ("N", ">")  # and no year
    is_list = tokens[at] in ("between", "zwischen") and any(choices[0].kind == "C" for choices in before)
    period = None if is_count or is_list else find_period(tokens, at, today)
    function = find_part(tokens, at)
    lengths = (meanings.length if meanings else 0, period[1] if period else 0, function[1] if function else 0)
    if meanings and function and meanings.length == function[1]:
        # "in" is not the code IN of a country, and "IN" may be the code or the word.
        if any(is_written(value.value, question) for value in meanings.values):
            return None
        meanings = replace(meanings, values=())
        lengths = (meanings.length if meanings.metrics or meanings.columns else 0, *lengths[1:])
    longest = max(lengths)
    if longest == 0:
        return _number(tokens[at])
    phrase = tokens[at : at + longest]
    words = " ".join(phrase)
    if meanings and lengths[0] == longest:
        unit = function[0][2:] if function and function[1] == longest and function[0].startswith("g:") else ""
        return _known(words, meanings, phrase, unit), longest
    if period and lengths[1] == longest:
        return [[Part("p", words, period=period[0])]], longest
    assert function is not None
    kind, _, detail = function[0].partition(":")
    if kind == "":
        return [], longest
    if kind == "bg":
        return [[Part("b", words)], [Part("g", words, unit=detail)]], longest
    return [[Part(kind, words, unit=detail)]], longest


def _number(token: str) -> tuple[list[list[Part]], int] | None:
    if token == ",":
        return [[Part(",", token)]], 1
    if token in COUNTS:
        return [[Part("n", str(COUNTS[token]))]], 1
    number = token.replace(",", "")
    if number.replace(".", "", 1).isdigit() and number.isascii() and token.count(".") <= 1:
        return [[Part("n", number)]], 1
    return None


def _known(words: str, meanings: Meanings, phrase: list[str], unit: str) -> list[list[Part]]:
    """The choices for a phrase of the lexicon: a metric, a column, or values."""
    plural = stem(phrase[-1]) != phrase[-1]
    part = Part("", words, meanings, unit=unit, plural=plural)
    kinds = [("m", meanings.metrics), ("d", meanings.columns), ("v", meanings.values)]
    return [[replace(part, kind=kind) for kind, found in kinds if found]]
