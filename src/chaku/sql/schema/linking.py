"""Finds the tables and columns that a question is about, for schemas that are too large for a prompt.

Compares the words of names and comments with the question; rare words count more. Values in the question point to
their columns. Tables that join two linked tables are included. The parts that are left out are listed. Works for
1,000 tables and more.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from chaku.sql.schema.ddl import ddl_table
from chaku.sql.schema.definition import Column, Dropped, Schema, Table, literal
from chaku.sql.schema.values import Match
from chaku.sql.schema.words import CJK, QUESTION_WORDS, SMALL_WORDS, normalize, stem

CANDIDATES = 60  # tables that may get into the prompt
WIDE = 12  # a table with at most this number of columns keeps all columns
MIN_WORD = 3  # letters of a word that may match a longer word as its beginning


@dataclass(frozen=True)
class Linked:
    """The result of linking. `schema`: the likeliest tables, the likeliest first, or the whole schema in its order."""

    schema: Schema
    dropped: tuple[Dropped, ...]


def link(
    question: str,
    schema: Schema,
    matches: Sequence[Match] = (),
    *,
    count_tokens: Callable[[str], int],
    max_tokens: int,
    render: Callable[[Schema, Table], str] = ddl_table,
) -> Linked:
    """The part of a schema that a question needs, in at most `max_tokens` tokens; the whole schema if it fits.

    Values in the question come first in their columns, so that a model copies their spelling. `render` writes a table.
    """
    schema = _with_matches(schema, matches)
    may_fit = sum(len(table.columns) for table in schema.tables) < max_tokens  # a column has at least one token
    if may_fit and count_tokens("\n".join(render(schema, table) for table in schema.tables)) <= max_tokens:
        return Linked(schema, ())
    asked = words_of(question)
    weights = _weights(schema)
    scores = {table.name: _score(table, asked, weights) for table in schema.tables}
    for match in matches:
        scores[match.table] = scores.get(match.table, 0.0) + 4.0 * match.score
    ranked = sorted(schema.tables, key=lambda table: -scores[table.name])
    order = _with_neighbours(ranked[:CANDIDATES], schema, scores)
    kept: list[Table] = []
    named = {(match.table, match.column) for match in matches}
    room = max_tokens
    for table in order:
        for smaller in (table, _narrow(table, asked, weights, named, schema)):
            size = count_tokens(render(schema, smaller)) + 1
            if size <= room:
                kept.append(smaller)
                room -= size
                break
    return Linked(replace(schema, tables=tuple(kept)), tuple(_dropped(schema, kept)))


@lru_cache(maxsize=1 << 16)  # a schema's names repeat with every question; do not change the counter
def words_of(text: str) -> Counter[str]:
    """The stems of the words of a question, a name or a comment; for Chinese, pairs of characters."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    words: Counter[str] = Counter()
    for word in normalize(spaced).split():
        if CJK.search(word):
            words.update(word[at : at + 2] for at in range(max(len(word) - 1, 1)))
        elif word not in SMALL_WORDS:
            words[stem(word)] += 1
    return words


def _table_words(table: Table) -> list[tuple[Counter[str], float]]:
    """The words of a table and of its columns, with the weight of a match in them."""
    listed = [(words_of(f"{table.name} {table.comment}"), 2.0)]
    return listed + [(words_of(f"{column.name} {column.comment}"), 1.0) for column in table.columns]


def _weights(schema: Schema) -> dict[str, float]:
    """The weight of each word: higher for words in fewer tables (inverse document frequency)."""
    tables = [set().union(*(words for words, _ in _table_words(table))) for table in schema.tables]
    counts = Counter(word for words in tables for word in words)
    return {word: math.log(1 + len(tables) / count) for word, count in counts.items()}


def _score(table: Table, asked: Counter[str], weights: dict[str, float]) -> float:
    best: dict[str, float] = {}
    for words, worth in _table_words(table):
        for word, likeness in _common(words, asked):
            best[word] = max(best.get(word, 0.0), worth * likeness * weights[word])
    own = words_of(table.name)
    covered = sum(likeness for _, likeness in _common(own, asked)) / max(len(own), 1)
    return sum(best.values()) * (1 + covered)  # ranks orders before order_status_history


def _common(words: Iterable[str], asked: Counter[str]) -> Iterable[tuple[str, float]]:
    """(word, likeness) for words that match a word of the question, as a whole or as a beginning (not `qty`)."""
    for word in words:
        if word in asked:
            yield word, 1.0
        elif len(word) >= MIN_WORD and any(
            len(other) >= MIN_WORD and (other.startswith(word) or word.startswith(other)) for other in asked
        ):
            yield word, 0.5


def _with_neighbours(ranked: list[Table], schema: Schema, scores: dict[str, float]) -> list[Table]:
    """The ranked tables; a table that joins two of the first tables stands behind the second of them."""
    by_name = {table.name: table for table in schema.tables}
    links: dict[str, set[str]] = {table.name: set() for table in schema.tables}
    for table in schema.tables:
        for key in table.foreign_keys:
            if key.table in links and key.table != table.name:
                links[table.name].add(key.table)
                links[key.table].add(table.name)
    order: list[str] = []
    for table in ranked:
        if scores[table.name] <= 0:
            break
        joining = {
            between
            for other in order[:5]
            if other not in links[table.name]
            for between in links[table.name] & links[other]
            if between not in order
        }
        if table.name not in order:
            order.append(table.name)
        order += sorted(joining, key=lambda name: -scores[name])
    for name in [*order]:  # then the tables that the linked tables refer to
        order += [
            neighbour for neighbour in sorted(links[name], key=lambda other: -scores[other]) if neighbour not in order
        ]
    return [by_name[name] for name in order] or ranked  # no word in common with any table


def _narrow(
    table: Table, asked: Counter[str], weights: dict[str, float], named: set[tuple[str, str]], schema: Schema
) -> Table:
    """The table with its keys and its likeliest columns only."""
    keys = {name for key in table.foreign_keys for name in key.columns}
    keys |= {
        name
        for other in schema.tables
        for key in other.foreign_keys
        if key.table == table.name
        for name in key.references
    }

    def worth(column: Column) -> float:
        words = words_of(f"{column.name} {column.comment}")
        found = sum(likeness * weights.get(word, 0.0) for word, likeness in _common(words, asked))
        return found + 10.0 * ((table.name, column.name) in named)

    chosen = {column.name for column in sorted(table.columns, key=worth, reverse=True)[:WIDE]}
    kept = tuple(other for other in table.columns if other.primary_key or other.name in keys or other.name in chosen)
    return replace(table, columns=kept)


def _with_matches(schema: Schema, matches: Sequence[Match]) -> Schema:
    found: dict[tuple[str, str], list[str]] = {}
    for match in matches:
        found.setdefault((match.table, match.column), []).append(literal(match.value))

    def shown(table: Table, column: Column) -> Column:
        first = found.get((table.name, column.name), [])
        return replace(column, values=tuple(dict.fromkeys([*first, *column.values]))[: max(3, len(first))])

    return replace(
        schema,
        tables=tuple(
            replace(table, columns=tuple(shown(table, column) for column in table.columns)) for table in schema.tables
        ),
    )


def _dropped(schema: Schema, kept: list[Table]) -> Iterable[Dropped]:
    left = {table.name: {column.name for column in table.columns} for table in kept}
    for table in schema.tables:
        if table.name not in left:
            yield Dropped("table", table.name)
        else:
            yield from (
                Dropped("column", table.name, other.name)
                for other in table.columns
                if other.name not in left[table.name]
            )


@dataclass(frozen=True)
class Unlinked:
    """`words`: words of a question that match no name, comment or value. `linked`: whether some other word matches."""

    words: tuple[str, ...]
    linked: bool


def unlinked_words(question: str, schema: Schema, matches: Sequence[Match]) -> Unlinked | None:
    """The question's words that match nothing in the schema; None for a question in another script than the names."""
    if CJK.search(question) or not normalize(question).isascii():
        return None
    known = {word for table in schema.tables for words, _ in _table_words(table) for word in words}
    phrases = {stem(word) for match in matches for word in match.phrase.split()}
    found, missing = bool(phrases), []
    for word in words_of(question):
        if word in phrases or any(True for _ in _common([word], Counter(known))):
            found = True
        elif word.isalpha() and word not in QUESTION_WORDS:
            missing.append(word)
    return Unlinked(tuple(missing), found)
