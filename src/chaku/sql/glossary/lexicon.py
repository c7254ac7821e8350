"""The phrases that questions may use for metrics, tables, columns and values: the glossary's and the schema's."""

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from chaku.sql.glossary.expressions import Metric, parse_condition, parse_metric
from chaku.sql.glossary.file import ColumnEntry, Glossary, TableEntry
from chaku.sql.glossary.joins import find_column
from chaku.sql.glossary.text import stems, tokens_of, value_key
from chaku.sql.schema.definition import Schema, Table
from chaku.sql.schema.values import Match, ValueIndex, is_written, must_be_written

MAX_PHRASE = 12  # tokens
_AGGREGATE_WORDS = (
    "average mean avg median total sum maximum max minimum min durchschnittliche durchschnittlicher 平 均 总"
)
AGGREGATE_WORDS = frozenset(_AGGREGATE_WORDS.split())


@dataclass(frozen=True)
class ColumnMeaning:
    """A phrase means a column, or, with a table's name, the column that names its rows ("": there is none)."""

    table: str
    column: str
    is_table: bool = False


@dataclass(frozen=True)
class ValueMeaning:
    """A phrase means a value of a column."""

    table: str
    column: str
    value: str


@dataclass(frozen=True)
class Meanings:
    """What a phrase of `length` tokens may mean."""

    length: int
    metrics: tuple[str, ...] = ()
    columns: tuple[ColumnMeaning, ...] = ()
    values: tuple[ValueMeaning, ...] = ()


class Lexicon:
    """Phrases with their meanings. A word of the glossary means only what the glossary says."""

    def __init__(self, glossary: Glossary, schema: Schema, values: ValueIndex):
        self.glossary, self.schema, self._index = glossary, schema, values
        self.metrics: dict[str, Metric] = {}
        self.labels: dict[str, str] = {}  # table -> the column that names its rows
        self._metric_words: dict[str, str] = {}
        self._said: dict[str, list[ColumnMeaning]] = defaultdict(list)  # by the glossary
        self._named: dict[str, list[ColumnMeaning]] = defaultdict(list)  # by the schema
        self._values: dict[str, list[ValueMeaning]] = defaultdict(list)
        self.filters: dict[str, tuple[exp.Expr, ...]] = {}  # of every row of a table
        entries = {name.lower(): entry for name, entry in glossary.tables.items()}
        for table in schema.tables:
            entry = entries.get(table.name.lower(), TableEntry())
            self._add_table(table, entry)
            if entry.filter:
                self.filters[table.name] = (parse_condition(entry.filter, table, schema.dialect),)
        for name in glossary.metrics:
            self.metrics[name] = parse_metric(name, glossary, schema)
            for word in (name, *glossary.metrics[name].synonyms):
                self._metric_words[_key(word)] = name

    def _add_table(self, table: Table, entry: TableEntry) -> None:
        self.labels[table.name] = (find_column(table, entry.label) or "") if entry.label else ""
        names, said = _key(_spaced(table.bare_name)), [_key(word) for word in entry.synonyms]
        whole = ColumnMeaning(table.name, self.labels[table.name], is_table=True)
        self._named[names].append(whole)
        for key in said:
            self._said[key].append(whole)
        columns = {name.lower(): column for name, column in entry.columns.items()}
        for column in table.columns:
            column_entry = columns.get(column.name.lower(), ColumnEntry())
            meaning = ColumnMeaning(table.name, column.name)
            own, synonyms = _key(_spaced(column.name)), [_key(word) for word in column_entry.synonyms]
            self._named[own].append(meaning)
            for key in synonyms:
                self._said[key].append(meaning)
            for key in {f"{first} {second}" for first in (names, *said) for second in (own, *synonyms)}:
                self._named[key].append(meaning)
            for value, words in column_entry.values.items():
                for word in words:
                    self._values[_key(word)].append(ValueMeaning(table.name, column.name, value))

    def find(self, question: str, tokens: list[str], at: int) -> Meanings | None:
        """The meanings of the longest known phrase that begins at the token `at`; None if there is none.

        A value that is short, or a usual word of questions, must stand in the question with the same capitals: "can" is
        not the code CAN.
        """
        return _longest(tokens, at, lambda phrase: self._meanings(question, phrase))

    def tables_with(self, words: str) -> set[str]:
        """The tables that have a column of this name, or of this name after "average", "total" and the like."""
        tokens = words.split()
        while len(tokens) > 1 and tokens[0] in AGGREGATE_WORDS:
            tokens = tokens[1:]
        key = stems(tokens)
        columns = (*self._said.get(key, ()), *self._named.get(key, ()))
        return {column.table for column in columns if not column.is_table}

    def num_values(self, table: str, column: str) -> int:
        """The number of different texts of a column; 0 for a column without texts."""
        places = (place for found in self._index.places.values() for place in found)
        return sum(place[:2] == (table, column) for place in places)

    def _meanings(self, question: str, phrase: list[str]) -> Meanings:
        key = stems(phrase)
        metric = self._metric_words.get(key)
        columns = self._said.get(key) or self._named.get(key) or ()
        values = self._values.get(key) or [
            ValueMeaning(*place)
            for place in self._index.places.get(value_key(phrase), ())
            if not must_be_written(value_key(phrase)) or is_written(place[2], question)
        ]
        return Meanings(len(phrase), (metric,) if metric else (), tuple(dict.fromkeys(columns)), tuple(values))

    def said_in(self, question: str) -> "list[tuple[str, Meanings]]":
        """The phrases of a question that the glossary itself explains, with their meanings."""
        tokens, at, found = tokens_of(question), 0, []
        while at < len(tokens):
            if said := _longest(tokens, at, self._meanings_said):
                found.append((value_key(tokens[at : at + said.length]), said))
            at += said.length if said else 1
        return found

    def _meanings_said(self, phrase: list[str]) -> Meanings:
        key = stems(phrase)
        metric = self._metric_words.get(key)
        columns, values = self._said.get(key, ()), self._values.get(key, ())
        return Meanings(len(phrase), (metric,) if metric else (), tuple(columns), tuple(values))

    def matches_in(self, question: str) -> list[Match]:
        """The values that a question means by synonyms."""
        return [
            Match(1.0, value.table, value.column, value.value, phrase)
            for phrase, meanings in self.said_in(question)
            for value in meanings.values
        ]


def _longest(tokens: list[str], at: int, meanings: Callable[[list[str]], Meanings]) -> Meanings | None:
    """The meanings of the longest phrase that begins at the token `at` and means anything."""
    for length in range(min(MAX_PHRASE, len(tokens) - at), 0, -1):
        if (found := meanings(tokens[at : at + length])).metrics or found.columns or found.values:
            return found
    return None


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)


def _key(words: str) -> str:
    return stems(tokens_of(words))
