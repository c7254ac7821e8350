"""Writes variants of a database, on which a query that is right by luck gives other rows (after Zhong et al. 2020).

A variant has fewer rows, and other values in the columns that are no keys. Columns that gold queries compare with a
constant get this constant and its neighbours as values. Rows without their parent row are removed.
"""

import random
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlglot import exp

from chaku.sql.execute.lexer import tokenize
from chaku.sql.execute.parse import Refused, parse
from chaku.sql.schema.definition import Schema, Table, open_sqlite, quote_name, read_sqlite

NUM_VARIANTS = 20
MAX_ROWS = 2000  # of a table in a variant: enough to show differences, and few enough for fast queries

Constants = dict[str, list[Any]]  # column name -> values that queries compare the column with


def query_constants(queries: Iterable[str]) -> Constants:
    """The values that queries compare columns with, and the neighbours of numbers. Skips queries that do not parse."""
    found: dict[str, dict[Any, None]] = {}
    for query in queries:
        try:
            tree = parse(query)
        except Refused:
            continue
        for condition in tree.find_all(exp.Binary, exp.Between, exp.In):
            column = condition.this
            if not isinstance(column, exp.Column):
                continue
            others = [condition.args.get(key) for key in ("expression", "low", "high")] + condition.expressions
            for other in others:
                value = _value(other)
                if value is not None:
                    near = [value] if isinstance(value, str) else [value - 1, value, value + 1]
                    found.setdefault(column.name.lower(), {}).update(dict.fromkeys(near))
    return {name: list(values) for name, values in found.items()}


def _value(node: Any) -> Any:
    if isinstance(node, exp.Neg):
        value = _value(node.this)
        return None if value is None or isinstance(value, str) else -value
    if isinstance(node, exp.Literal):
        if node.is_string:
            return node.this.replace("%", "")
        return int(node.this) if node.this.isdigit() else float(node.this)
    if isinstance(node, exp.Column) and node.this.args.get("quoted") and not node.table:
        return node.name  # a string in double quotes
    return None


def write_variants(
    database: Path,
    directory: Path,
    *,
    constants: Constants,
    num_variants: int = NUM_VARIANTS,
    seed: int = 0,
    read_rows: int | None = None,
    queries: Sequence[str] = (),
) -> list[Path]:
    """Write `num_variants` variants of a SQLite file into `directory`; the same seed gives the same variants.

    `read_rows`: read only so many rows of each table (None: all rows). `queries`: the tables that none of them names
    stay empty, unless a query names a view.
    """
    schema = read_sqlite(database, num_values=0)
    with closing(open_sqlite(database)) as connection:
        statements = [
            text
            for (text,) in connection.execute(
                "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND substr(name, 1, 7) <> 'sqlite_'"
                " AND type IN ('table', 'view') ORDER BY type, rowid"
            )
        ]
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        schema = Schema(schema.name, tuple(table for table in schema.tables if table.name in tables))
        views = {row[0].lower() for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'")}
        named = {token.text.strip('"`[]').lower() for query in queries for token in tokenize(query)}
        everything = not queries or bool(named & views)
        limit = -1 if read_rows is None else read_rows  # SQLite reads all rows with a negative limit
        rows = {
            table.name: connection.execute(
                f"SELECT * FROM {quote_name(table.name, always=True)} LIMIT ?", (limit,)
            ).fetchall()
            if everything or table.name.lower() in named
            else []
            for table in schema.tables
        }
    paths = []
    for number in range(num_variants):
        path = directory / f"{database.stem}_{number:03}.sqlite"
        path.unlink(missing_ok=True)
        _write(path, statements, schema, _vary(schema, rows, constants, random.Random(f"{seed} {number}")))
        paths.append(path)
    return paths


def _write(path: Path, statements: Sequence[str], schema: Schema, rows: dict[str, list[list[Any]]]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("BEGIN")
        for statement in statements:
            connection.execute(statement)
        for table in schema.tables:
            marks = ", ".join("?" * len(table.columns))
            connection.executemany(
                f"INSERT OR IGNORE INTO {quote_name(table.name, always=True)} VALUES ({marks})", rows[table.name]
            )
        connection.execute("COMMIT")


def _vary(
    schema: Schema, rows: dict[str, list[tuple]], constants: Constants, draw: random.Random
) -> dict[str, list[list[Any]]]:
    varied = {}
    keys = _keys(schema)
    for table in schema.tables:
        share = draw.choice((0.4, 0.7, 0.9, 1.0))
        all_rows = rows[table.name]
        num_rows = min(max(round(share * len(all_rows)), min(len(all_rows), 1)), MAX_ROWS)
        kept = [list(all_rows[index]) for index in sorted(draw.sample(range(len(all_rows)), num_rows))]
        for index, column in enumerate(table.columns):
            if (table.name.lower(), column.name.lower()) not in keys and kept:
                _resample(kept, index, [row[index] for row in all_rows], constants.get(column.name.lower(), []), draw)
        varied[table.name] = kept
    for _ in schema.tables:  # a chain of parents is at most this long
        if not _drop_orphans(schema, rows, varied):
            break
    return varied


def _resample(rows: list[list[Any]], index: int, values: list[Any], wanted: list[Any], draw: random.Random) -> None:
    share = draw.choice((0.0, 0.3, 1.0))
    for row in rows:
        if draw.random() < share:
            row[index] = draw.choice(values)
    if wanted and draw.random() < 0.8:
        for row in draw.sample(rows, max(len(rows) // 4, 1)):
            row[index] = draw.choice(wanted)


def _keys(schema: Schema) -> set[tuple[str, str]]:
    keys = {(t.name.lower(), column.name.lower()) for t in schema.tables for column in t.columns if column.primary_key}
    for table in schema.tables:
        for key in table.foreign_keys:
            keys |= {(table.name.lower(), name.lower()) for name in key.columns}
            keys |= {(key.table.lower(), name.lower()) for name in key.references}
    return keys


def _drop_orphans(schema: Schema, rows: dict[str, list[tuple]], varied: dict[str, list[list[Any]]]) -> bool:
    """Drop the rows that had a parent row in the original and have none now; returns whether there were any."""
    tables = {table.name.lower(): table for table in schema.tables}
    dropped = False
    for table in schema.tables:
        for key in table.foreign_keys:
            parent = tables.get(key.table.lower())
            if parent is None or len(key.columns) != 1 or len(key.references) != 1:
                continue
            here, there = _index(table, key.columns[0]), _index(parent, key.references[0])
            if here is None or there is None:
                continue
            gone = {row[there] for row in rows[parent.name]} - {row[there] for row in varied[parent.name]}
            kept = [row for row in varied[table.name] if row[here] not in gone]
            dropped |= len(kept) < len(varied[table.name])
            varied[table.name] = kept
    return dropped


def _index(table: Table, name: str) -> int | None:
    return next((index for index, column in enumerate(table.columns) if column.name.lower() == name.lower()), None)
