"""An index of a schema for linking, made once: its words, how rare each word is, and which tables are joined."""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from chaku.sql.schema.words import QUESTION_WORDS, words_of

if TYPE_CHECKING:
    from chaku.sql.schema.definition import Schema, Table

MIN_WORD = 3  # letters of a word that may match a longer word as its beginning
MIN_ENDING = 4  # letters of a word that may match a longer word as its end: "room" and "classroom"
IN_NAME, IN_COLUMN = 2.0, 1.0  # the worth of a word in a table's name or comment, and in a column's
QUESTION = 0.2  # the worth of a word that asks for a kind of query: "number", "name"
PART = 0.5  # the likeness of two words of which one is a part of the other


class SchemaIndex:
    """The words of a schema's tables, by word. Tables have their number in the schema."""

    def __init__(self, schema: "Schema"):
        # SQLite's foreign keys may write a table's name with other capitals.
        self.numbers = {table.name.lower(): number for number, table in enumerate(schema.tables)}
        self.places: dict[str, dict[int, float]] = defaultdict(dict)  # word -> {table: worth}
        self.names = [frozenset(words_of(table.bare_name)) for table in schema.tables]
        for number, table in enumerate(schema.tables):
            for word, worth in table_words(table).items():
                self.places[word][number] = worth
        self.weights = {word: math.log(1 + len(schema.tables) / len(found)) for word, found in self.places.items()}
        self._words, self._reversed = sorted(self.places), sorted(word[::-1] for word in self.places)
        self.joined: list[set[int]] = [set() for _ in schema.tables]
        self.referenced: dict[str, set[str]] = defaultdict(set)  # table -> its columns that foreign keys refer to
        for number, table in enumerate(schema.tables):
            for key in table.foreign_keys:
                other = self.numbers.get(key.table.lower())
                self.referenced[key.table.lower()] |= {*key.references}
                if other is not None and other != number:
                    self.joined[number].add(other)
                    self.joined[other].add(number)

    def like(self, word: str) -> Iterator[tuple[str, float]]:
        """(word of the schema, likeness) for those that are the word, begin with it, end with it, or begin it."""
        if word in self.places:
            yield word, 1.0
        if len(word) < MIN_WORD:
            return
        for longer in _beginning_with(word, self._words):
            if longer != word:
                yield longer, PART
        for end in range(MIN_WORD, len(word)):
            if word[:end] in self.places:
                yield word[:end], PART
        if len(word) >= MIN_ENDING:
            for longer in _beginning_with(word[::-1], self._reversed):
                if len(longer) > len(word):
                    yield longer[::-1], PART

    def score(self, asked: Iterable[str]) -> dict[int, float]:
        """The tables that have words of a question, with a score: rare words, and words in names, count more."""
        scores: dict[int, float] = defaultdict(float)
        covered: dict[int, dict[str, float]] = defaultdict(dict)
        for word in asked:
            best: dict[int, float] = {}
            for known, likeness in self.like(word):
                weight = likeness * self.weights[known]
                for number, worth in self.places[known].items():
                    best[number] = max(best.get(number, 0.0), worth * weight)
                    if known in self.names[number]:
                        covered[number][known] = max(covered[number].get(known, 0.0), likeness)
            said = QUESTION if word in QUESTION_WORDS else 1.0
            for number, value in best.items():
                scores[number] += said * value
        return {  # orders comes before order_status_history
            number: value * (1 + sum(covered[number].values()) / max(len(self.names[number]), 1))
            for number, value in scores.items()
        }


def table_words(table: "Table") -> dict[str, float]:
    """The words of a table's and its columns' names and comments, with their worth."""
    of_columns = (word for column in table.columns for word in words_of(f"{column.name} {column.comment}"))
    return dict.fromkeys(of_columns, IN_COLUMN) | dict.fromkeys(words_of(f"{table.name} {table.comment}"), IN_NAME)


def _beginning_with(start: str, words: list[str]) -> Iterator[str]:
    at = bisect_left(words, start)
    while at < len(words) and words[at].startswith(start):
        yield words[at]
        at += 1
