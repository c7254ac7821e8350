"""Finds the values that a question means: "UK customers" is about 'United Kingdom'.

The distinct values of text columns are indexed once: by their words without case and accents, by their initials, and
by pairs of letters for similar spellings. Chinese has no spaces, so values are also searched inside the question.
A model believes wrong values in its prompt. So short values must match exactly ("are" is not 'ARE'), and initials must
be written in capitals. `benchmarks/value_hints.py` measures how often the found values are right.
"""

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from chaku.console import say
from chaku.sql.engines.known import ENGINES
from chaku.sql.schema.definition import Column, Schema, Table, quote_name, quote_table
from chaku.sql.schema.private import Private
from chaku.sql.schema.words import CJK, QUESTION_WORDS, SMALL_WORDS, normalize, stem

if TYPE_CHECKING:
    from chaku.sql.execute.database import Database

VALUES_PER_COLUMN = 2_000
COLUMN_SECONDS = 5.0  # for the query of one column
COLUMNS_AT_ONCE = 400  # SQLite allows 500 parts of a UNION
BUILD_SECONDS = 60.0  # for all columns
LONGEST_VALUE = 60  # characters; longer texts are prose, which nobody quotes in a question
WORDS_IN_A_PHRASE = 5
LENGTHS = 4  # values whose lengths in characters are as near as this are indexed together
NEAR = 0.84  # the least likeness (0 to 1) of a similar spelling
CODE = 0.9  # the score of a value that a code stands for
SHORT = 3  # letters; values up to this length must match exactly
TEXT_TYPES = re.compile(r"char|text|string|clob|enum|^$", re.IGNORECASE)
NESTED_TYPES = re.compile(
    r"\[|\]$|^(struct|map|union|array|tuple|nested|row|variant|object|json|super)\b", re.IGNORECASE
)
CHINESE_SUFFIXES = "市省县區区国國"  # city, province, county, district, country; often left out


@dataclass(frozen=True, order=True)
class Match:
    """The `phrase` of a question means the `value` of a column. `score`: 1.0 for the same words."""

    score: float
    table: str
    column: str
    value: str
    phrase: str


def text_columns(table: Table) -> list[Column]:
    """The text columns that are not private: a question may name their values."""
    return [
        column
        for column in table.columns
        if TEXT_TYPES.search(column.type) and not NESTED_TYPES.search(column.type) and not column.private
    ]


def distinct_values(
    database: "Database",
    table: Table,
    column: Column,
    limit: int = VALUES_PER_COLUMN,
    seconds: float = COLUMN_SECONDS,
    private: Private = frozenset(),
) -> list[str] | None:
    """At most `limit` distinct texts of a column, without long texts; None if they cannot be read in time.

    `private`: columns that SQLite does not read for a view either.
    """
    result = database.run_unchecked(
        _distinct(database, table, column, limit), max_cell=LONGEST_VALUE + 1, timeout=seconds, private=private
    )
    if not result.ok:
        return None
    return [value for (value,) in result.rows if isinstance(value, str) and len(value) <= LONGEST_VALUE]


def distinct_in_one_query(
    database: "Database", columns: Sequence[tuple[Table, Column]], private: Private = frozenset()
) -> list[list[str]] | None:
    """The `distinct_values` of at most COLUMNS_AT_ONCE columns; None if one query cannot read them all in time.

    SQLite reads its whole schema for every query, which takes most of the time in a database of thousands of tables.
    """
    parts = (
        f"SELECT {number}, * FROM ({_distinct(database, table, column, VALUES_PER_COLUMN)})"
        for number, (table, column) in enumerate(columns)
    )
    limits = {"max_rows": VALUES_PER_COLUMN * len(columns), "max_cell": LONGEST_VALUE + 1, "timeout": COLUMN_SECONDS}
    result = database.run_unchecked(" UNION ALL ".join(parts), private=private, **limits)
    if not result.ok or result.truncated:
        return None
    found: list[list[str]] = [[] for _ in columns]
    for number, value in result.rows:
        if isinstance(value, str) and len(value) <= LONGEST_VALUE:
            found[number].append(value)
    return found


def _distinct(database: "Database", table: Table, column: Column, limit: int) -> str:
    name = quote_name(column.name, database.dialect, always=True)
    source = quote_table(table.name, table.namespace, database.dialect, always=True)
    return ENGINES[database.dialect].limited(f"DISTINCT {name} FROM {source} WHERE {name} IS NOT NULL", limit)


@dataclass
class ValueIndex:
    """An index of values by the words that a question may use for them."""

    places: dict[str, list[tuple[str, str, str]]] = field(default_factory=lambda: defaultdict(list))
    aliases: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # singulars, without small words
    initials: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    pairs: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    longest_cjk: int = 0

    @classmethod
    def build(cls, database: "Database", schema: Schema, *, per_column: int = VALUES_PER_COLUMN) -> "ValueIndex":
        """Read at most `per_column` distinct values of every text column; prints a line if the time runs out.

        A column that cannot be read in COLUMN_SECONDS (no rights, a slow view) has no values.
        """
        index = cls()
        columns = [(table, column) for table in schema.tables for column in text_columns(table)]
        started = time.monotonic()
        for number, (table, column) in enumerate(columns):
            if time.monotonic() - started > BUILD_SECONDS:
                left = ", ".join(f"{table.name}.{column.name}" for table, column in columns[number : number + 5])
                say(f"reading values takes too long: {len(columns) - number} columns have none: {left}, ...")
                break
            for value in distinct_values(database, table, column, per_column) or ():
                index.add(table.name, column.name, value)
        return index

    def add(self, table: str, column: str, value: object) -> None:
        """Index a value; numbers and prose are left out."""
        if not isinstance(value, str) or len(value) > LONGEST_VALUE or not (key := normalize(value)):
            return
        if re.fullmatch(r"[\d ]+", key):
            return
        known = key in self.places
        self.places[key].append((table, column, value))
        if known:
            return
        words = _without_small(key)
        for alias in {_plain(key), key.rstrip(CHINESE_SUFFIXES)} - {key, ""}:
            self.aliases[alias].add(key)
        if len(words) > 1:
            self.initials["".join(word[0] for word in words)].add(key)
            self.initials["".join(word[0] for word in key.split())].add(key)
        for pair in _pairs(key):
            self.pairs[pair, len(key) // LENGTHS].add(key)
        if CJK.search(key):
            self.longest_cjk = max(self.longest_cjk, len(key))

    def find(self, question: str, *, limit: int = 10) -> list[Match]:
        """The best matches of a question's phrases, the best first, each value of a column once."""
        best: dict[tuple[str, str, str], Match] = {}
        codes = _codes(question)
        for phrase in _phrases(question, self.longest_cjk):
            said_by_questions = _is_question(phrase)
            for key, score in self._keys(phrase, is_code=phrase in codes):
                must_be_written = score != CODE and (said_by_questions or _is_short(key))
                for table, column, value in self.places[key]:
                    if must_be_written and not is_written(value, question):  # "has" is no 'Ha', "than" no 'Han'
                        continue
                    match = Match(score, table, column, value, phrase)
                    if (place := (table, column, value)) not in best or best[place].score < score:
                        best[place] = match
        ordered = sorted(best.values(), key=lambda match: (-match.score, -len(match.phrase), match.table, match.column))
        # Drop a phrase inside the phrase of a better match: "york" adds nothing to "new york".
        kept: list[Match] = []
        for match in ordered:
            inside = (value for value in kept if match.phrase != value.phrase and match.phrase in value.phrase)
            if not any(value.score >= match.score for value in inside):
                kept.append(match)
        return kept[:limit]

    def _keys(self, phrase: str, *, is_code: bool) -> Iterator[tuple[str, float]]:
        """The (indexed key, score) of values that a phrase may mean. `is_code`: the phrase is written in capitals."""
        if phrase in self.places:
            yield phrase, 1.0
        for alias in {phrase, _plain(phrase)}:
            yield from ((key, 0.97) for key in self.aliases.get(alias, ()))
            if alias != phrase and alias in self.places:
                yield alias, 0.97
        if is_code and phrase not in self.places:
            yield from ((key, CODE) for key in self.initials.get(phrase, ()))
        if (len(phrase) >= 4 or CJK.search(phrase)) and phrase not in self.places:
            yield from self._near(phrase)

    def _near(self, phrase: str) -> Iterator[tuple[str, float]]:
        """Similar spellings: keys with enough pairs of letters in common, and then a likeness of NEAR or more."""
        pairs = _pairs(phrase)
        lengths = range((len(phrase) - 3) // LENGTHS, (len(phrase) + 3) // LENGTHS + 1)
        having = [[self.pairs.get((pair, length), set()) for length in lengths] for pair in pairs]
        having.sort(key=lambda found: sum(map(len, found)))
        # A key with half of the pairs has one of these: the rarer half, and one more.
        likely = set().union(*(keys for found in having[: len(pairs) // 2 + 1] for keys in found))
        for key in likely:
            if abs(len(key) - len(phrase)) <= 3 and 2 * sum(pair in key for pair in pairs) >= len(pairs):
                likeness = SequenceMatcher(None, phrase, key, autojunk=False).ratio()
                if NEAR <= likeness < 1:
                    yield key, 0.9 * likeness


def _codes(question: str) -> set[str]:
    """The words in capitals, converted to small letters; empty if the whole question is in capitals."""
    if question.isupper():
        return set()
    return {word.lower() for word in re.findall(r"\b[A-Z]{2,6}\b", question)}


def must_be_written(key: str) -> bool:
    """Whether a value's normalised text says so little that a question must write the value with the same capitals."""
    return _is_question(key) or _is_short(key)


def _is_short(key: str) -> bool:
    """Whether a value is so short that it may be part of another word."""
    return len(key) <= SHORT and key.isascii()


def is_written(value: str, question: str) -> bool:
    """Whether a value, or its plural, stands in the question with the same case."""
    return re.search(rf"(?<!\w){re.escape(value.strip())}(?:s|es)?(?!\w)", question) is not None


def _is_question(phrase: str) -> bool:
    """Whether a phrase has only words that are common in questions about any data."""
    return all(word in SMALL_WORDS or stem(word) in QUESTION_WORDS for word in phrase.split())


def _without_small(text: str) -> list[str]:
    return [word for word in text.split() if word not in SMALL_WORDS]


def _plain(text: str) -> str:
    """The text with singulars, and without small words such as "the"."""
    return " ".join(map(stem, _without_small(text)))


def _pairs(text: str) -> set[str]:
    return {text[at : at + 2] for at in range(len(text) - 1)} or {text}


def _phrases(question: str, longest_cjk: int) -> Iterable[str]:
    """All runs of words and of Chinese characters, the longest first."""
    normal = normalize(question)
    words = normal.split()
    found: dict[str, None] = {}
    for count in range(min(WORDS_IN_A_PHRASE, len(words)), 0, -1):
        for at in range(len(words) - count + 1):
            phrase = " ".join(words[at : at + count])
            if words[at] not in SMALL_WORDS and words[at + count - 1] not in SMALL_WORDS:
                found[phrase] = None
    if longest_cjk and CJK.search(normal):
        for run in re.findall(rf"(?:{CJK.pattern}|\w)+", normal):
            for count in range(min(longest_cjk, len(run)), 0, -1):
                for at in range(len(run) - count + 1):
                    if CJK.search(phrase := run[at : at + count]):
                        found[phrase] = None
    return found
