"""Reads the schema of a database: tables, keys, comments, and a few values of each column."""

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from chaku.console import say
from chaku.errors import ChakuError
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


def introspect(database: "Database", *, num_values: int = NUM_VALUES, private: Private = frozenset()) -> Schema:
    """The schema, with `num_values` sampled values a column (0: none), and with its `private` columns marked.

    It has the tables of all readable schemas in DuckDB and PostgreSQL, and the tables of the URL's database in MySQL.
    Raises ChakuError when the database cannot be reached.
    """
    if database.dialect == "sqlite":
        return mark_private(read_sqlite(Path(database.location), num_values=num_values, private=private), private)
    schema = {"duckdb": _duckdb, "postgres": _postgres, "mysql": _mysql}[database.dialect](database)
    schema = mark_private(schema, private)
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


def _duckdb(database: "Database") -> Schema:
    # Read DuckDB's documented catalogue: SQLAlchemy's dialect duckdb-engine lags behind DuckDB.
    here = "database_name = current_database() AND NOT internal"
    tables = _Tables(("main",))
    for namespace, name, column, kind, nullable, comment in _rows(
        database,
        "SELECT schema_name, table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns() "
        f"WHERE {here} ORDER BY schema_name <> 'main', table_oid, column_index",
    ):
        tables.add(namespace, name, Column(column, one_line(kind), one_line(comment), not_null=not nullable))
    for kind in ("table", "view"):
        query = f"SELECT schema_name, {kind}_name, comment FROM duckdb_{kind}s() WHERE {here}"
        tables.comments |= {(namespace, name): one_line(comment) for namespace, name, comment in _rows(database, query)}
    for namespace, name, kind, columns, target, references in _rows(
        database,
        "SELECT schema_name, table_name, constraint_type, array_to_string(constraint_column_names, chr(31)), "
        "referenced_table, array_to_string(referenced_column_names, chr(31)) FROM duckdb_constraints() "
        "WHERE database_name = current_database() AND constraint_type IN ('PRIMARY KEY', 'FOREIGN KEY')",
    ):
        tables.add_key(namespace, name, columns, *(() if kind == "PRIMARY KEY" else (namespace, target, references)))
    return tables.schema(database)


_POSTGRES_COLUMNS = r"""
SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), t.typcategory = 'A', a.attnotnull,
    (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e
        WHERE e.enumtypid IN (t.oid, t.typelem, t.typbasetype)),
    col_description(c.oid, a.attnum), obj_description(c.oid, 'pg_class')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
        AND d.deptype = 'e')
ORDER BY NOT pg_table_is_visible(c.oid), n.nspname, c.relname, a.attnum
"""
_POSTGRES_KEYS = """
SELECT n.nspname, c.relname, k.contype = 'p', fn.nspname, f.relname,
    (SELECT string_agg(a.attname, chr(31) ORDER BY x.at) FROM unnest(k.conkey) WITH ORDINALITY AS x (number, at)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.number),
    (SELECT string_agg(a.attname, chr(31) ORDER BY x.at) FROM unnest(k.confkey) WITH ORDINALITY AS x (number, at)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = x.number)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_class f ON f.oid = k.confrelid LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
WHERE k.contype IN ('p', 'f') AND k.conparentid = 0 ORDER BY k.conname
"""
_SHORT_TYPES = {
    "character varying": "varchar",
    "character": "char",
    "double precision": "double",
    "integer": "int",
    "time without time zone": "time",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}


def _postgres(database: "Database") -> Schema:
    """The tables of all schemas that the role may read, without partitions and tables of extensions."""
    tables = _Tables(tuple(name for (name,) in _rows(database, "SELECT unnest(current_schemas(false))::text")))
    for namespace, name, column, kind, is_array, not_null, labels, comment, about in _rows(database, _POSTGRES_COLUMNS):
        base = f"ENUM({labels}){'[]' if is_array else ''}" if labels else _short_type(kind)
        tables.add(namespace, name, Column(column, one_line(base), one_line(comment), not_null=not_null))
        tables.comments[namespace, name] = one_line(about)
    for namespace, name, is_primary, other, target, columns, references in _rows(database, _POSTGRES_KEYS):
        tables.add_key(namespace, name, columns, *(() if is_primary else (other, target, references)))
    return tables.schema(database)


def _short_type(kind: str) -> str:
    for long, short in _SHORT_TYPES.items():
        if re.match(rf"{long}\b", kind):
            kind = short + kind[len(long) :]
    return kind.upper()


_MYSQL_COLUMNS = """
SELECT c.table_name, c.column_name, c.column_type, c.is_nullable = 'NO', c.column_comment,
    CASE WHEN t.table_type = 'VIEW' THEN '' ELSE t.table_comment END
FROM information_schema.columns c
    JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
WHERE c.table_schema = DATABASE() AND t.table_type IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')
ORDER BY c.table_name, c.ordinal_position
"""
_MYSQL_KEYS = """
SELECT table_name, constraint_name = 'PRIMARY', group_concat(column_name ORDER BY ordinal_position SEPARATOR '\x1f'),
    max(referenced_table_name), group_concat(referenced_column_name ORDER BY ordinal_position SEPARATOR '\x1f')
FROM information_schema.key_column_usage
WHERE table_schema = DATABASE() AND (constraint_name = 'PRIMARY' OR referenced_table_schema = DATABASE())
GROUP BY table_name, constraint_name ORDER BY table_name, constraint_name
"""


def _mysql(database: "Database") -> Schema:
    """The tables of the URL's database."""
    tables = _Tables((database.name,))
    for name, column, kind, not_null, comment, about in _rows(database, _MYSQL_COLUMNS):
        shown = re.sub(r"^\w+", lambda word: word[0].upper(), kind) if "'" in kind else kind.upper()
        tables.add(database.name, name, Column(column, one_line(shown), one_line(comment), not_null=bool(not_null)))
        tables.comments[database.name, name] = one_line(about)
    for name, is_primary, columns, target, references in _rows(database, _MYSQL_KEYS):
        tables.add_key(database.name, name, columns, *(() if is_primary else (database.name, target, references)))
    return tables.schema(database)


class _Tables:
    """Collects the catalogue's entries about tables, by (schema, table name)."""

    def __init__(self, search_path: tuple[str, ...]):
        self.search_path = search_path
        self.columns: dict[tuple[str, str], list[Column]] = {}
        self.comments: dict[tuple[str, str], str] = {}
        self.primary: dict[tuple[str, str], list[str]] = {}
        self.foreign: dict[tuple[str, str], list[tuple[list[str], tuple[str, str], list[str]]]] = {}

    def add(self, namespace: str, table: str, column: Column) -> None:
        self.columns.setdefault((namespace, table), []).append(column)

    def add_key(
        self, namespace: str, table: str, columns: str, other: str = "", target: str = "", references: str = ""
    ) -> None:
        """Add a foreign key, or a primary key without `target`. Names of columns are joined by U+001F."""
        if target:
            key = (columns.split("\x1f"), (other, target), references.split("\x1f"))
            self.foreign.setdefault((namespace, table), []).append(key)
        else:
            self.primary[namespace, table] = columns.split("\x1f")

    def schema(self, database: "Database") -> Schema:
        called = self._names()
        tables = []
        for place, columns in self.columns.items():
            keys = self.primary.get(place, ())
            name, namespace = called[place]
            foreign = [
                ForeignKey(tuple(own), called[target][0], tuple(references), called[target][1])
                for own, target, references in self.foreign.get(place, ())
                if target in called
            ]
            listed = tuple(replace(column, primary_key=column.name in keys) for column in columns)
            tables.append(Table(name, listed, self.comments.get(place, ""), tuple(foreign), namespace))
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
    result = database.run_unchecked(f"SELECT {names} FROM {source} LIMIT {SAMPLED_ROWS}", max_cell=1000)
    sampled = {}
    for index, column in enumerate(read):
        distinct = dict.fromkeys(row[index] for row in result.rows if row[index] is not None)
        shown = [literal(value) for value in distinct if not isinstance(value, bytes)]
        sampled[column.name] = replace(column, values=tuple(shown[:num_values]))
    return replace(table, columns=tuple(sampled.get(column.name, column) for column in table.columns))


def _rows(database: "Database", query: str) -> list[tuple]:
    result = database.run_unchecked(query, max_rows=1_000_000)
    if not result.ok:
        raise ChakuError(f"cannot read the schema of {database.name}: {result.reason}")
    return result.rows
