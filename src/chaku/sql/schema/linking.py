"""Finds the tables and columns that a question is about, for schemas that are too large for a prompt.

Compares the words of names and comments with the question; rare words count more. Values in the question point to
their columns. Tables that are joined with likely tables come along. The parts that are left out are listed. Works for
10,000 tables and more: what does not depend on the question is in the schema's index.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from chaku.sql.schema.ddl import ddl_table
from chaku.sql.schema.definition import Column, Dropped, Schema, Table, literal
from chaku.sql.schema.index import SchemaIndex
from chaku.sql.schema.meaning import Meaning
from chaku.sql.schema.values import Match
from chaku.sql.schema.words import CJK, QUESTION_WORDS, normalize, stem, words_of

CANDIDATES = 100  # tables that may get into the prompt
WIDE = 12  # a table with at most this number of columns keeps all columns
LEAST_ROOM = 16  # tokens: no table has fewer
IN_FULL = 6  # the first tables of a cut schema are shown with comments and values
VALUE_WORTH = 1.0  # the worth of a value of the question, as a word in a column's name is worth 1
USUAL = 1.0  # standard deviations: a table that is less near than so by its meaning gets nothing for it
MEANING_WORTH = 3.0  # the score of a standard deviation more
SPREAD = 0.25  # the share of its score that a table gives to the tables that it is joined with


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
    meaning: Meaning | None = None,
) -> Linked:
    """The part of a schema that a question needs, in at most `max_tokens` tokens; the whole schema if it fits.

    Values in the question come first in their columns, so that a model copies their spelling. `render` writes a table.
    `meaning`: finds tables by meaning, too.
    """
    found = _values_by_column(matches)
    if sum(len(table.columns) for table in schema.tables) < max_tokens:  # a column has at least one token
        whole = replace(schema, tables=tuple(_with_values(table, found) for table in schema.tables))
        if count_tokens("\n".join(render(schema, table) for table in whole.tables)) <= max_tokens:
            return Linked(whole, ())
    asked = words_of(question)
    index = schema.index
    scores = index.score(asked)
    for number, worth in _value_scores(matches, index).items():
        scores[number] = scores.get(number, 0.0) + worth
    if meaning:
        for number, near in enumerate(meaning.tables(question, schema)):
            if near > USUAL:
                scores[number] = scores.get(number, 0.0) + MEANING_WORTH * (near - USUAL)
    scores = _spread(scores, index)
    ranked = sorted(scores, key=lambda number: (-scores[number], number))[:CANDIDATES] or range(len(schema.tables))
    kept: list[Table] = []
    room = max_tokens
    for rank, number in enumerate(ranked):
        table = _with_values(schema.tables[number], found)
        for smaller in _sizes(table, rank, asked, found, index):
            size = count_tokens(render(schema, smaller)) + 1
            if size <= room:
                kept.append(smaller)
                room -= size
                break
        if room < LEAST_ROOM:
            break
    return Linked(replace(schema, tables=tuple(kept)), tuple(_dropped(schema, kept)))


def _value_scores(matches: Sequence[Match], index: SchemaIndex) -> dict[int, float]:
    """The scores of tables for the values in a question; a value that many tables have says less."""
    by_phrase: dict[str, dict[int, float]] = defaultdict(dict)
    for match in matches:
        if (number := index.numbers.get(match.table.lower())) is not None:
            best = by_phrase[match.phrase]
            best[number] = max(best.get(number, 0.0), match.score)
    scores: dict[int, float] = defaultdict(float)
    for phrase, tables in by_phrase.items():
        rare = math.log(1 + len(index.names) / len(tables)) * (1 + phrase.count(" ") / 2)
        for number, score in tables.items():
            scores[number] += VALUE_WORTH * score * rare
    return scores


def _spread(scores: Mapping[int, float], index: SchemaIndex) -> dict[int, float]:
    """The scores with a share of the two best tables that each table is joined with, and of the tables behind them."""
    spread = dict(scores)
    for _ in range(2):
        best: dict[int, list[float]] = defaultdict(list)
        for number, score in spread.items():
            for other in index.joined[number]:
                best[other].append(score)
        spread = {
            number: scores.get(number, 0.0) + SPREAD * sum(sorted(best[number], reverse=True)[:2])
            for number in {*scores, *best}
        }
    return spread


def _sizes(
    table: Table, rank: int, asked: Mapping[str, int], found: Mapping[tuple[str, str], list[str]], index: SchemaIndex
) -> Iterator[Table]:
    """A table in smaller and smaller forms; only the first tables are shown in full."""
    if rank < IN_FULL:
        yield table
    bare = replace(
        table,
        comment="",
        columns=tuple(
            replace(column, comment="", values=tuple(found.get((table.name, column.name), ())))
            for column in table.columns
        ),
    )
    if len(table.columns) <= WIDE:
        yield bare
    yield _narrow(bare, table, asked, found, index)


def _narrow(
    bare: Table, table: Table, asked: Mapping[str, int], found: Mapping[tuple[str, str], list[str]], index: SchemaIndex
) -> Table:
    """The table with its keys and its likeliest columns only."""
    keys = {name for key in table.foreign_keys for name in key.columns} | index.referenced.get(
        table.name.lower(), set()
    )
    likeness = {known: weight * index.weights[known] for word in asked for known, weight in index.like(word)}

    def worth(column: Column) -> float:
        words = words_of(f"{column.name} {column.comment}")
        return sum(likeness.get(word, 0.0) for word in words) + 10.0 * ((table.name, column.name) in found)

    chosen = {column.name for column in sorted(table.columns, key=worth, reverse=True)[:WIDE]}
    return replace(bare, columns=tuple(c for c in bare.columns if c.primary_key or c.name in keys or c.name in chosen))


def _values_by_column(matches: Sequence[Match]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for match in matches:
        found.setdefault((match.table, match.column), []).append(literal(match.value))
    return found


def _with_values(table: Table, found: Mapping[tuple[str, str], list[str]]) -> Table:
    """The table with the question's values first in their columns."""

    def shown(column: Column) -> Column:
        first = found.get((table.name, column.name))
        if not first:
            return column
        return replace(column, values=tuple(dict.fromkeys([*first, *column.values]))[: max(3, len(first))])

    return replace(table, columns=tuple(map(shown, table.columns)))


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
    index = schema.index
    phrases = {stem(word) for match in matches for word in match.phrase.split()}
    found, missing = bool(phrases), []
    for word in words_of(question):
        if word in phrases or any(True for _ in index.like(word)):
            found = True
        elif word.isalpha() and word not in QUESTION_WORDS:
            missing.append(word)
    return Unlinked(tuple(missing), found)
