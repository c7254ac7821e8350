"""Compares a glossary with its database: names that do not exist, SQL that is no metric, words that mean two things."""

import re
from collections.abc import Callable, Iterator
from itertools import chain, islice

from chaku.errors import ChakuError
from chaku.sql.execute.parse import Refused
from chaku.sql.glossary.expressions import known_column, known_date, known_table, near, parse_condition, parse_metric
from chaku.sql.glossary.file import MAX_WORDS, ColumnEntry, Glossary, TableEntry
from chaku.sql.glossary.function_words import PARTS
from chaku.sql.glossary.joins import Joins, find_column, parse_join, primary_key
from chaku.sql.glossary.text import stems, tokens_of
from chaku.sql.schema.definition import Schema, Table
from chaku.sql.schema.values import ValueIndex

SHOWN, MOST = 5, 100  # mistakes in one error, and in all
STRANGE = re.compile(r"[^\w\s.'’&/()+%-]")  # a sign such as < may begin a chat control token

IsUnique = Callable[[Table, str], bool]


def check_glossary(
    glossary: Glossary, schema: Schema, values: ValueIndex | None = None, is_unique: IsUnique | None = None
) -> list[str]:
    """The mistakes in a glossary, one sentence each, at most MOST.

    `values`: the known values of the text columns, to look up the glossary's values. `is_unique`: whether the database
    has each value of a column once; without it, a join must end at a primary key.
    """
    found = chain(
        _names(glossary, schema, values),
        _joins(glossary, schema, is_unique),
        _metrics(glossary, schema),
        _words(glossary),
    )
    return list(islice(found, MOST))


def require_fitting(
    glossary: Glossary, schema: Schema, values: ValueIndex | None = None, is_unique: IsUnique | None = None
) -> None:
    """Raises ChakuError, with the first mistakes, for a glossary that does not fit its database."""
    if mistakes := check_glossary(glossary, schema, values, is_unique):
        more = f"; and {len(mistakes) - SHOWN} more" if len(mistakes) > SHOWN else ""
        raise ChakuError(f"the glossary does not fit {schema.name}: {'; '.join(mistakes[:SHOWN])}{more}")


def _names(glossary: Glossary, schema: Schema, values: ValueIndex | None) -> Iterator[str]:
    by_column: dict[tuple[str, str], set[str]] = {}
    for places in values.places.values() if values else ():
        for table, column, value in places:
            by_column.setdefault((table, column), set()).add(value)
    for name, entry in glossary.tables.items():
        try:
            found = known_table(schema, name)
        except Refused as error:
            yield f"tables.{name}: {error}"
            continue
        yield from _table(f"tables.{name}", found, entry, schema, by_column)


def _table(
    where: str, table: Table, entry: TableEntry, schema: Schema, by_column: dict[tuple[str, str], set[str]]
) -> Iterator[str]:
    for key, column in (("label", entry.label), *(("columns", name) for name in entry.columns)):
        is_private = key == "columns" and entry.columns[column].private
        if is_private and entry.columns[column].values:
            yield f"{where}.columns.{column}: a private column can have no values here"
        if is_private and find_column(table, column):
            continue
        try:
            spelt = known_column(table, column) if column else ""
        except Refused as error:
            yield f"{where}.{key}: {error}"
            continue
        known = by_column.get((table.name, spelt))
        if key == "columns" and known:
            for value in entry.columns[column].values:
                if value not in known:
                    yield f"{where}.columns.{column}: there is no value {value!r}{near(value, sorted(known))}"
    if entry.date:
        try:
            known_date(table, entry.date, schema)
        except Refused as error:
            yield f"{where}.date: {error}"
    if entry.filter:
        try:
            parse_condition(entry.filter, table, schema.dialect)
        except Refused as error:
            yield f"{where}.filter: {error}"


def _metrics(glossary: Glossary, schema: Schema) -> Iterator[str]:
    joins = Joins(schema, glossary)
    for name in glossary.metrics:
        try:
            metric = parse_metric(name, glossary, schema)
        except Refused as error:
            yield f"metrics.{name}: {error}"
            continue
        if metric.date and metric.date_table not in joins.from_table(metric.table.name):
            yield f"metrics.{name}: no join leads from {metric.table.name} to {metric.date_table}, its date's table"


def _joins(glossary: Glossary, schema: Schema, is_unique: IsUnique | None) -> Iterator[str]:
    names = [f"{table.name}.{column.name}" for table in schema.tables for column in table.columns]
    for text in glossary.joins:
        join = parse_join(text, schema)
        if join is None:
            sides = [side.strip() for side in text.split("=")]
            wrong = [side for side in sides if side.lower() not in map(str.lower, names)]
            reason = f"there is no {wrong[0]}{near(wrong[0], names)}" if wrong and len(sides) == 2 else "it is no join"
            yield f'joins: {text!r}: {reason}; write "MANY.column = ONE.column"'
            continue
        parent, [(child_column, column)] = known_table(schema, join.parent), join.pairs
        if {(join.child.lower(), child_column.lower()), (join.parent.lower(), column.lower())} & glossary.private:
            yield f"joins: {text!r}: a private column joins nothing"
            continue
        if primary_key(parent) != [column] and not (is_unique and is_unique(parent, column)):
            yield f"joins: {text!r}: several rows of {parent.name} may have one {column}, so rows would count twice"


def _words(glossary: Glossary) -> Iterator[str]:
    """Words that are no words, and words with two meanings. Columns of different tables may share a word."""
    seen: dict[tuple[str, str], str] = {}  # (place, words) -> the entry that has them
    of_tables: dict[str, tuple[str, str]] = {}  # words of tables and metrics -> (entry, table)
    for where, table, words in _entries(glossary):
        for word in words:
            if not word.strip() or len(word) > MAX_WORDS or STRANGE.search(word) or not word.isprintable():
                allowed = f"at most {MAX_WORDS} letters, digits, spaces and .'&/()+%-"
                yield f"{where}: {word[:40]!r} cannot be a synonym, which has {allowed}"
                continue
            tokens = tokens_of(word)
            if " ".join(tokens) in PARTS:
                yield f"{where}: {word!r} cannot be a synonym, since it is a usual word of questions"
                continue
            key = stems(tokens)
            if where.startswith("metrics.") or ".columns." not in where:
                other, its_table = of_tables.setdefault(key, (where, table))
                # A metric that counts a table's rows may be called like the table.
                counted = its_table == table and other.startswith("metrics.") != where.startswith("metrics.")
                if other != where and not counted:
                    yield f"{other} and {where} have the same synonym {word!r}"
            else:
                place = where.split(".values.")[0] if ".values." in where else f"columns of {table}"
                other = seen.setdefault((place, key), where)
                if other != where:
                    yield f"{other} and {where} have the same synonym {word!r}"
                if key in of_tables and of_tables[key][0] != where:
                    yield f"{of_tables[key][0]} and {where} have the same synonym {word!r}"


def _entries(glossary: Glossary) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(entry, its table, its words), tables and metrics first."""
    for name, metric in glossary.metrics.items():
        yield f"metrics.{name}", metric.table, (name, *metric.synonyms)
    for name, table in glossary.tables.items():
        yield f"tables.{name}", name, table.synonyms
    for name, table in glossary.tables.items():
        for column, entry in table.columns.items():
            yield from _column(f"tables.{name}.columns.{column}", name, entry)


def _column(where: str, table: str, entry: ColumnEntry) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    yield where, table, entry.synonyms
    for value, words in entry.values.items():
        yield f"{where}.values.{value}", table, words
