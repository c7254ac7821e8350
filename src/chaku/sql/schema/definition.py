"""The records of a schema, reading them from SQLite and Spider files, and writing names and values as SQL."""

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from chaku.console import say
from chaku.errors import ChakuError
from chaku.files import read_json
from chaku.sql.engines.engine import Dialect as Dialect
from chaku.sql.engines.known import ENGINES

if TYPE_CHECKING:
    from chaku.sql.schema.index import SchemaIndex

SHADOW_ENDINGS = (  # for FTS3 to FTS5, and R*Tree
    "content", "segments", "segdir", "docsize", "stat", "data", "idx", "config", "node", "parent", "rowid",
)  # fmt: skip
NUM_VALUES = 3  # sampled values a column: enough to show their form
VALUE_CHARS = 40  # characters; a longer value would say little more about its column


@dataclass(frozen=True)
class Column:
    """One column. `values`: a few of its distinct values as SQL literals ('France', 12).

    `private`: the glossary keeps it from all queries, prompts and clients.
    """

    name: str
    type: str = ""
    comment: str = ""
    values: tuple[str, ...] = ()
    primary_key: bool = False
    not_null: bool = False
    private: bool = False


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key: `columns` refer to the columns `references` of `table`. `table`, `namespace`: see `Table`."""

    columns: tuple[str, ...]
    table: str
    references: tuple[str, ...]
    namespace: str = ""


@dataclass(frozen=True)
class Table:
    """One table. `name`: its name in a query: "orders", or "sales.orders" if the query must name the schema.

    `namespace`: this schema, "sales"; empty if a query need not name it. `hides_rows`: the role sees some rows only.
    """

    name: str
    columns: tuple[Column, ...]
    comment: str = ""
    foreign_keys: tuple[ForeignKey, ...] = ()
    namespace: str = ""
    hides_rows: bool = False

    @property
    def bare_name(self) -> str:
        """The name without its schema."""
        return self.name.removeprefix(f"{self.namespace}.") if self.namespace else self.name


@dataclass(frozen=True)
class Dropped:
    """A part of a schema that a prompt leaves out; `column` is empty for a part of a table."""

    kind: Literal["table", "column", "values", "comment"]
    table: str
    column: str = ""

    def __str__(self) -> str:
        place = f"{self.table}.{self.column}" if self.column else self.table
        return f"{self.kind}{' of' if self.kind in ('values', 'comment') else ''} {place}"


@dataclass(frozen=True)
class Schema:
    """A database's tables, in the order of a prompt, which drops tables from the end if they do not fit.

    `search_path`: the schemas (in the database's sense) of tables that a query may name without their schema.
    """

    name: str
    tables: tuple[Table, ...]
    dialect: Dialect = "sqlite"
    search_path: tuple[str, ...] = ()

    @cached_property
    def private(self) -> frozenset[tuple[str, str]]:
        """The (table, column) of its private columns, in small letters."""
        return frozenset(
            (table.name.lower(), column.name.lower())
            for table in self.tables
            for column in table.columns
            if column.private
        )

    @cached_property
    def index(self) -> "SchemaIndex":
        """The words of the tables, for linking; made when it is first needed."""
        from chaku.sql.schema.index import SchemaIndex

        return SchemaIndex(self)


def database_file(databases: Path, name: str) -> Path:
    """The path of a database in Spider's and BIRD's folders."""
    return databases / name / f"{name}.sqlite"


def open_sqlite(path: Path) -> sqlite3.Connection:
    """Open a SQLite file read-only. Bytes that are not UTF-8 become replacement characters.

    Raises ChakuError when the file does not exist.
    """
    if not path.is_file():
        raise ChakuError(f"the database {path} does not exist; check the path")
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return connection


def read_sqlite(
    path: Path, *, num_values: int = NUM_VALUES, private: frozenset[tuple[str, str]] = frozenset()
) -> Schema:
    """The schema of a SQLite file, with `num_values` sampled values a column. Raises ChakuError for any other file.

    `private`: the (table, column), in small letters, that nothing may sample, through a view either.
    """
    try:
        with closing(open_sqlite(path)) as connection:
            if private:
                connection.set_authorizer(partial(_keep_private, private))
            rows = connection.execute(
                "SELECT name, coalesce(sql, '') FROM sqlite_master WHERE type IN ('table', 'view') "
                "AND substr(name, 1, 7) <> 'sqlite_' ORDER BY rowid"
            ).fetchall()
            shadows = _shadow_tables(rows)
            names = [name for name, _ in rows if name not in shadows]
            tables = [_read_table(connection, name, num_values) for name in names]
    except sqlite3.DatabaseError as error:
        raise ChakuError(f"cannot read the database {path}: {error}") from error
    return Schema(path.stem, tuple(table for table in tables if table), search_path=("main",))


def _keep_private(
    private: frozenset[tuple[str, str]], action: int, table: str | None, column: str | None, *_: str | None
) -> int:
    reads = action == sqlite3.SQLITE_READ and ((table or "").lower(), (column or "").lower()) in private
    return sqlite3.SQLITE_DENY if reads else sqlite3.SQLITE_OK


def _shadow_tables(rows: list[tuple[str, str]]) -> set[str]:
    """The internal tables of full-text and R*Tree indices."""
    virtual = [name for name, sql in rows if re.match(r"\s*CREATE\s+VIRTUAL\s+TABLE\b", sql, re.IGNORECASE)]
    return {f"{name}_{ending}" for name in virtual for ending in SHADOW_ENDINGS}


def _read_table(connection: sqlite3.Connection, table: str, num_values: int) -> Table | None:
    """A table or view. Prints a line and returns None if SQLite cannot read it, such as a view of a missing table."""
    quoted = quote_name(table, always=True)
    columns = []
    try:
        described = connection.execute(f"PRAGMA table_xinfo({quoted})").fetchall()
    except sqlite3.OperationalError as error:
        say(f"{table} is left out, since SQLite cannot read it: {error}")
        return None
    for _, name, kind, not_null, _, key, hidden in described:
        if hidden == 1:  # of a virtual table; 2 and 3 are computed columns
            continue
        values = _sample(connection, quoted, quote_name(name, always=True), num_values) if num_values else ()
        columns.append(Column(name, kind.upper(), values=values, primary_key=key > 0, not_null=bool(not_null)))
    keys: dict[int, list[tuple[Any, ...]]] = {}
    for row in connection.execute(f"PRAGMA foreign_key_list({quoted})").fetchall():
        keys.setdefault(row[0], []).append(row)
    foreign = []
    for rows in sorted(keys.values(), key=lambda rows: rows[0][0], reverse=True):  # SQLite lists the last one first
        target = rows[0][2]
        references = tuple(row[4] for row in rows)
        if None in references:  # REFERENCES parent, without columns: the parent's primary key
            parent = connection.execute(f"PRAGMA table_info({quote_name(target, always=True)})").fetchall()
            key_columns = sorted((row[5], row[1]) for row in parent if row[5])
            references = tuple(name for _, name in key_columns)
        foreign.append(ForeignKey(tuple(row[3] for row in rows), target, references))
    return Table(table, tuple(columns), foreign_keys=tuple(foreign))


def _sample(connection: sqlite3.Connection, table: str, column: str, num_values: int) -> tuple[str, ...]:
    # The first rows show a column's form well enough, without reading all of a large table.
    query = (
        f"SELECT DISTINCT {column} FROM (SELECT {column} FROM {table} LIMIT 1000) WHERE {column} IS NOT NULL LIMIT ?"
    )
    try:
        rows = connection.execute(query, (num_values,)).fetchall()
    except sqlite3.DatabaseError as error:
        # OperationalError: a view of a missing table, or a virtual table without its module.
        if isinstance(error, sqlite3.OperationalError) or error.sqlite_errorcode == sqlite3.SQLITE_AUTH:
            return ()
        raise
    return tuple(literal(value) for (value,) in rows if not isinstance(value, bytes))


def literal(value: object) -> str:
    """A value as an SQL literal on one line, cut to VALUE_CHARS characters."""
    if value is None:
        return "NULL"
    if isinstance(value, int | float):
        return repr(value)
    text = on_one_line(str(value))
    if len(text) > VALUE_CHARS:
        text = text[: VALUE_CHARS - 1] + "…"
    return "'" + text.replace("'", "''") + "'"


def on_one_line(text: str) -> str:
    """The printable characters of a text on one line, so that it cannot end a prompt's line or control a terminal."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def read_spider_tables(path: Path) -> dict[str, Schema]:
    """Read schemas by database id from a tables.json in Spider's form (Spider, BIRD, CSpider).

    A column's natural-language name becomes its comment, unless it repeats the name. Raises ChakuError for a file in
    another form.
    """
    entries = read_json(path)
    try:
        return {entry["db_id"]: _spider_schema(entry) for entry in entries}
    except (KeyError, TypeError, IndexError) as error:
        raise ChakuError(f"{path} is not in the form of Spider's tables.json: {error!r} is missing or wrong") from error


def _spider_schema(entry: dict[str, Any]) -> Schema:
    originals = entry["column_names_original"]
    primary = {index for key in entry["primary_keys"] for index in (key if isinstance(key, list) else [key])}
    columns: dict[int, list[Column]] = {index: [] for index in range(len(entry["table_names_original"]))}
    for index, (table, name) in enumerate(originals):
        if table >= 0:
            said = entry.get("column_names", originals)[index][1]
            comment = "" if _letters(said) == _letters(name) else said
            kind = {"number": "NUMERIC", "time": "DATETIME", "others": ""}.get(
                entry["column_types"][index], entry["column_types"][index].upper()
            )
            columns[table].append(Column(name, kind, comment, primary_key=index in primary))
    foreign: dict[int, list[ForeignKey]] = {index: [] for index in columns}
    for source, target in entry["foreign_keys"]:
        parent = entry["table_names_original"][originals[target][0]]
        foreign[originals[source][0]].append(ForeignKey((originals[source][1],), parent, (originals[target][1],)))
    tables = tuple(
        Table(name, tuple(columns[index]), foreign_keys=tuple(foreign[index]))
        for index, name in enumerate(entry["table_names_original"])
    )
    return Schema(entry["db_id"], tables)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def quote_name(name: str, dialect: Dialect = "sqlite", *, always: bool = False) -> str:
    """A name in the dialect, with quotes if it needs quotes, or `always`."""
    engine = ENGINES[dialect]
    plain = _PLAIN.fullmatch(name) and engine.folded(name) == name and name.lower() not in engine.reserved
    return name if plain and not always else engine.quote(name)


def quote_table(name: str, namespace: str, dialect: Dialect = "sqlite", *, always: bool = False) -> str:
    """A table's name in the dialect, after its schema if `namespace` is not empty; see `Table`."""
    bare = quote_name(name.removeprefix(f"{namespace}.") if namespace else name, dialect, always=always)
    return f"{quote_name(namespace, dialect, always=always)}.{bare}" if namespace else bare
