"""Reads the schema of a database: tables, keys, comments, and a few values of each column."""

import re
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from chaku.console import say
from chaku.errors import ChakuError
from chaku.sql.engines.engine import Catalogue
from chaku.sql.engines.known import ENGINES
from chaku.sql.schema.definition import (
    NUM_VALUES,
    Column,
    ForeignKey,
    Schema,
    Table,
    literal,
    on_one_line,
    quote_name,
    quote_table,
    read_sqlite,
)
from chaku.sql.schema.private import Private, mark_private

if TYPE_CHECKING:
    from chaku.sql.execute.database import Database

SAMPLE_SECONDS = 30.0  # for sampling values from all tables
SAMPLED_ROWS = 200  # of a table, enough to show the form of its values
COMMENT_CHARS = 200  # a comment becomes one line of a prompt
Target = tuple[str, str, str]  # (schema, table, column)


def introspect(database: "Database", *, num_values: int = NUM_VALUES, private: Private = frozenset()) -> Schema:
    """The schema, with `num_values` sampled values a column (0: none), and with its `private` columns marked.

    It has the tables of all readable schemas of the database; in MySQL, where schemas are databases, only the URL's.
    Raises ChakuError when the database cannot be reached.
    """
    if database.engine.catalogue is None:
        return mark_private(read_sqlite(Path(database.location), num_values=num_values, private=private), private)
    schema = mark_private(read_catalogue(database), private)
    tables = [*schema.tables]
    started = time.monotonic()
    for number, table in enumerate(tables):
        if num_values and time.monotonic() - started > SAMPLE_SECONDS:
            say(f"sampling takes too long: {len(tables) - number} tables have no sampled values: {table.name}, ...")
            break
        tables[number] = with_values(database, table, num_values) if num_values else table
    return replace(schema, tables=tuple(tables))


def one_line(text: object) -> str:
    """A comment or a value for a prompt: at most COMMENT_CHARS printable characters on one line."""
    line = on_one_line(str(text or ""))
    return line if len(line) <= COMMENT_CHARS else line[: COMMENT_CHARS - 1] + "…"


def read_catalogue(database: "Database") -> Schema:
    """The tables that the queries of the engine's catalogue find, without values."""
    catalogue = ENGINES[database.dialect].catalogue
    assert catalogue
    tables = _Tables(tuple(name for (name,) in _rows(database, catalogue.search_path) if name))
    for namespace, name, column, kind, not_null, comment, about in _rows(database, catalogue.columns):
        shown = one_line(_short_type(str(kind or ""), catalogue))
        tables.add(namespace, name, Column(column, shown, one_line(comment), not_null=_is_true(not_null)))
        tables.comments[namespace, name] = one_line(about)
    for namespace, name, key, is_primary, column, *target in _all_rows(database, catalogue.keys):
        tables.add_key((namespace, name), key, column, None if _is_true(is_primary) else tuple(target))
    tables.hiding = {(namespace, name) for namespace, name in _all_rows(database, catalogue.hidden_rows)}
    return tables.schema(database)


def _is_true(flag: object) -> bool:
    return bool(int(flag)) if isinstance(flag, int | float | Decimal | str) else bool(flag)


def _short_type(kind: str, catalogue: Catalogue) -> str:
    for long, short in catalogue.short_types.items():
        kind = re.sub(rf"^{long}\b", short, kind)
    return kind


class _Tables:
    """Collects the catalogue's entries about tables, by (schema, table name)."""

    def __init__(self, search_path: tuple[str, ...]):
        self.search_path = search_path
        self.columns: dict[tuple[str, str], list[Column]] = {}
        self.comments: dict[tuple[str, str], str] = {}
        self.hiding: set[tuple[str, str]] = set()
        self.primary: dict[tuple[str, str], list[str]] = {}
        self.foreign: dict[tuple[str, str], dict[str, list[tuple[str, Target]]]] = {}

    def add(self, namespace: str, table: str, column: Column) -> None:
        self.columns.setdefault((namespace, table), []).append(column)

    def add_key(self, table: tuple[str, str], key: str, column: str, target: Target | None) -> None:
        """Add a column of a foreign key, or of the primary key without `target` (schema, table, column)."""
        if target:
            self.foreign.setdefault(table, {}).setdefault(str(key), []).append((column, target))
        else:
            self.primary.setdefault(table, []).append(column)

    def schema(self, database: "Database") -> Schema:
        called = self._names()
        tables = []
        for place, columns in self.columns.items():
            keys = self.primary.get(place, ())
            name, namespace = called[place]
            foreign = []
            for pairs in self.foreign.get(place, {}).values():
                own, targets = zip(*pairs, strict=True)
                if (other := called.get(targets[0][:2])) is not None:
                    foreign.append(ForeignKey(own, other[0], tuple(column for *_, column in targets), other[1]))
            listed = tuple(replace(column, primary_key=column.name in keys) for column in columns)
            about = self.comments.get(place, "")
            tables.append(Table(name, listed, about, tuple(foreign), namespace, hides_rows=place in self.hiding))
        return Schema(database.name, tuple(tables), database.dialect, self.search_path)

    def _names(self) -> dict[tuple[str, str], tuple[str, str]]:
        """The tables' names in queries, and the schema in front, unless the search path finds the table by its name."""
        names = {}
        first: set[str] = set()
        by_path = sorted(self.columns, key=lambda place: self._path_index(place[0]))
        for namespace, table in by_path:
            is_found = self._path_index(namespace) < len(self.search_path) and table not in first
            names[namespace, table] = (table, "") if is_found else (f"{namespace}.{table}", namespace)
            first |= {table} if is_found else set()
        return names

    def _path_index(self, namespace: str) -> int:
        return self.search_path.index(namespace) if namespace in self.search_path else len(self.search_path)


def with_values(database: "Database", table: Table, num_values: int = NUM_VALUES) -> Table:
    """The table with sampled values, from one query; without values if it cannot be read (no rights, a broken view)."""
    read = [column for column in table.columns if not column.private]
    if not read:
        return table
    names = ", ".join(quote_name(column.name, database.dialect, always=True) for column in read)
    source = quote_table(table.name, table.namespace, database.dialect, always=True)
    sample = ENGINES[database.dialect].limited(f"{names} FROM {source}", SAMPLED_ROWS)
    result = database.run_unchecked(sample, max_cell=1000)
    sampled = {}
    for index, column in enumerate(read):
        distinct = dict.fromkeys(row[index] for row in result.rows if row[index] is not None)
        shown = [literal(value) for value in distinct if not isinstance(value, bytes)]
        sampled[column.name] = replace(column, values=tuple(shown[:num_values]))
    return replace(table, columns=tuple(sampled.get(column.name, column) for column in table.columns))


def _all_rows(database: "Database", queries: str) -> list[tuple]:
    """The rows of several queries, which ; separates."""
    return [row for query in queries.split("\n;\n") if query for row in _rows(database, query)]


def _rows(database: "Database", query: str) -> list[tuple]:
    result = database.run_unchecked(database.named(query), max_rows=1_000_000)
    if not result.ok:
        raise ChakuError(f"cannot read the schema of {database.name}: {result.reason}")
    return result.rows
