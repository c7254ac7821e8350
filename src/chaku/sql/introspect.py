"""A database's schema, read from the database itself: tables, keys, comments, and a few values of each column."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from chaku.console import say
from chaku.errors import ChakuError
from chaku.sql.database import Database
from chaku.sql.schema import (
    NUM_VALUES,
    Column,
    ForeignKey,
    Schema,
    Table,
    literal,
    on_one_line,
    quote_name,
    read_sqlite,
)

SAMPLE_SECONDS = 30.0  # that sampling values may take
SAMPLED_ROWS = 200  # of a table: they show its columns' form
COMMENT_CHARS = 200  # of a comment: it is a line of a prompt, whoever wrote it


def introspect(database: Database, *, num_values: int = NUM_VALUES) -> Schema:
    """The schema with `num_values` sampled values a column (0: none). Raises ChakuError when the database is away.

    PostgreSQL: the tables on the search path; MySQL: those of the URL's database.
    """
    if database.dialect == "sqlite":
        return read_sqlite(Path(database.location), num_values=num_values)
    tables = _duckdb(database) if database.dialect == "duckdb" else _server(database)
    started = time.monotonic()
    for number, table in enumerate(tables):
        if num_values and time.monotonic() - started > SAMPLE_SECONDS:
            say(f"no values are sampled of {len(tables) - number} tables, {table.name} the first: that takes too long")
            break
        tables[number] = _with_values(database, table, num_values) if num_values else table
    return Schema(database.name, tuple(tables), database.dialect)


def one_line(text: object) -> str:
    """A comment or a value as a prompt may show it: printable characters on one line, not too many."""
    line = on_one_line(str(text or ""))
    return line if len(line) <= COMMENT_CHARS else line[: COMMENT_CHARS - 1] + "…"


def _duckdb(database: Database) -> list[Table]:
    # duckdb-engine, SQLAlchemy's dialect, lags behind DuckDB; the catalogue is read as DuckDB documents it.
    columns: dict[str, list[Column]] = {}
    not_internal = "schema_name = current_schema() AND NOT internal"
    for table, name, kind, nullable, comment in _rows(
        database,
        "SELECT table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns() "
        f"WHERE {not_internal} ORDER BY table_oid, column_index",
    ):
        columns.setdefault(table, []).append(Column(name, kind, one_line(comment), not_null=not nullable))
    comments: dict[str, str] = {}
    for kind in ("table", "view"):
        query = f"SELECT {kind}_name, comment FROM duckdb_{kind}s() WHERE {not_internal}"
        comments |= {name: one_line(comment) for name, comment in _rows(database, query)}
    primary: dict[str, tuple[str, ...]] = {}
    foreign: dict[str, list[ForeignKey]] = {}
    for table, kind, names, target, references in _rows(
        database,
        "SELECT table_name, constraint_type, array_to_string(constraint_column_names, chr(31)), referenced_table, "
        "array_to_string(referenced_column_names, chr(31)) FROM duckdb_constraints() "
        "WHERE schema_name = current_schema() AND constraint_type IN ('PRIMARY KEY', 'FOREIGN KEY')",
    ):
        if kind == "PRIMARY KEY":
            primary[table] = tuple(names.split("\x1f"))
        else:
            key = ForeignKey(tuple(names.split("\x1f")), target, tuple(references.split("\x1f")))
            foreign.setdefault(table, []).append(key)
    return [
        Table(
            name,
            tuple(replace(each, primary_key=each.name in primary.get(name, ())) for each in listed),
            comments.get(name, ""),
            tuple(foreign.get(name, ())),
        )
        for name, listed in columns.items()
    ]


def _server(database: Database) -> list[Table]:
    """By SQLAlchemy's inspector, which asks for all tables at once."""
    import sqlalchemy
    from sqlalchemy.engine.reflection import ObjectKind

    engine = sqlalchemy.create_engine(database.location, poolclass=sqlalchemy.pool.NullPool)
    try:
        with engine.connect() as connection:
            inspector = sqlalchemy.inspect(connection)
            every: dict[str, Any] = {"kind": ObjectKind.ANY}
            columns = inspector.get_multi_columns(**every)
            primary = inspector.get_multi_pk_constraint(**every)
            foreign = inspector.get_multi_foreign_keys(**every)
            comments = inspector.get_multi_table_comment(**every)
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise ChakuError(f"cannot read the schema of {database.name}: {one_line(error.__cause__ or error)}") from None
    tables = []
    for key in sorted(columns, key=lambda each: each[1]):
        keys = set((primary.get(key) or {}).get("constrained_columns") or ())
        listed = tuple(
            Column(
                each["name"],
                str(each["type"]).split(" COLLATE")[0],
                one_line(each.get("comment")),
                primary_key=each["name"] in keys,
                not_null=not each["nullable"],
            )
            for each in columns[key]
        )
        references = tuple(
            ForeignKey(tuple(each["constrained_columns"]), each["referred_table"], tuple(each["referred_columns"]))
            for each in foreign.get(key) or ()
        )
        comment = one_line((comments.get(key) or {}).get("text"))
        tables.append(Table(key[1], listed, comment, references))
    return tables


def _with_values(database: Database, table: Table, num_values: int) -> Table:
    """One query a table. A table that cannot be read (no rights, a broken view) has no values."""
    names = ", ".join(quote_name(each.name, database.dialect, always=True) for each in table.columns)
    source = quote_name(table.name, database.dialect, always=True)
    result = database.run_unchecked(f"SELECT {names} FROM {source} LIMIT {SAMPLED_ROWS}", max_cell=1000)
    columns = []
    for index, column in enumerate(table.columns):
        distinct = dict.fromkeys(row[index] for row in result.rows if row[index] is not None)
        shown = [literal(value) for value in distinct if not isinstance(value, bytes)]
        columns.append(replace(column, values=tuple(shown[:num_values])))
    return replace(table, columns=tuple(columns))


def _rows(database: Database, query: str) -> list[tuple]:
    result = database.run_unchecked(query, max_rows=1_000_000)
    if not result.ok:
        raise ChakuError(f"cannot read the schema of {database.name}: {result.reason}")
    return result.rows
