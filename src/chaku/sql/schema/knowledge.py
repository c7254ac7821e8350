"""A database's schema and values, for questions. Values are cached until their table changes."""

import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from chaku.console import say
from chaku.errors import ChakuError
from chaku.files import atomic_file
from chaku.sql.ask.memory import file_name
from chaku.sql.execute.database import Database
from chaku.sql.schema.change_stamps import change_stamps, file_stamp
from chaku.sql.schema.definition import NUM_VALUES, Dropped, Schema, Table
from chaku.sql.schema.introspect import introspect, with_values
from chaku.sql.schema.private import Private
from chaku.sql.schema.values import COLUMNS_AT_ONCE, ValueIndex, distinct_in_one_query, distinct_values, text_columns

VERSION = 1  # of the file format
READ_SECONDS = 60.0  # for reading the values of all tables


@dataclass(frozen=True)
class TableValues:
    """The values of a table at `stamp`, by column. `samples`: SQL literals for prompts. `distinct`: for look-ups."""

    stamp: str | None
    columns: list[str]
    samples: dict[str, list[str]]
    distinct: dict[str, list[str]]


class Knowledge:
    """A database's schema and values. `unreadable`: names that no prompt can show, and that the schema leaves out.

    `refresh` reads the schema again, and the values of tables that have changed. `cache`: the file for values (None:
    in memory only). `private`: the columns whose values are never read. Raises ChakuError when the database cannot be
    reached.
    """

    def __init__(self, database: Database, *, cache: Path | None = None, private: Private = frozenset()):
        self.database, self.cache, self._private = database, cache, private
        self.schema = Schema(database.name, (), database.dialect)
        self.unreadable: tuple[Dropped, ...] = ()
        self.values = ValueIndex()
        self._kept = _load(cache) if cache else {}
        self._file_stamp, self._is_whole = "", True
        self.refresh()

    def refresh(self) -> None:
        """Read the schema, and the values of tables that have changed. Raises ChakuError for a file that is gone."""
        stamp = ""
        if self.database.engine.is_file:
            stamp = file_stamp(Path(self.database.location))
            if not stamp:  # SQLite goes on reading a file that was moved away
                raise ChakuError(f"there is no database {self.database.location} any more")
            if stamp == self._file_stamp:
                return
        # SQLite's sampled values come with the schema, since reading them is fast.
        in_sqlite = self.database.engine.catalogue is None
        schema, self.unreadable = _readable(self._introspect(NUM_VALUES if in_sqlite else 0))
        known = self._values_of(schema)
        self.schema = schema if in_sqlite else _with_samples(schema, known)
        if known != self._kept or not self.values.places:
            self.values = _index(known)
        if known != self._kept and self.cache:
            _save(self.cache, known)
        self._kept = known
        # After an error above, and after a part, the next question reads again.
        self._file_stamp = stamp if self._is_whole else ""

    def _introspect(self, num_values: int) -> Schema:
        return introspect(self.database, num_values=num_values, private=self._private)

    def _values_of(self, schema: Schema) -> dict[str, TableValues]:
        """The values of all tables: from the cache for an unchanged table, otherwise read now, for READ_SECONDS."""
        stamps = change_stamps(self.database, schema)
        known: dict[str, TableValues] = {}
        changed: list[Table] = []
        for table in schema.tables:
            kept, stamp = self._kept.get(table.name), stamps[table.name]
            if kept and kept.stamp is not None and (kept.stamp, kept.columns) == (stamp, _columns(table)):
                known[table.name] = kept
            else:
                changed.append(table)
        started = time.monotonic()
        while changed and time.monotonic() - started < READ_SECONDS:
            some, changed = self._next(changed)
            together = self._read_together(some, stamps[some[0].name]) if len(some) > 1 else {}
            for table in some:
                known[table.name] = together.get(table.name) or self._read(table, stamps[table.name], _columns(table))
        if changed:
            first = changed[0].name
            say(f"reading values takes too long: {len(changed)} tables wait for the next question: {first}, ...")
        self._is_whole = not changed
        return known

    def _next(self, tables: list[Table]) -> tuple[list[Table], list[Table]]:
        """The tables to read next, and the rest: of SQLite, as many as one query can read."""
        if self.database.engine.catalogue:
            return tables[:1], tables[1:]
        room, count = COLUMNS_AT_ONCE, 0
        while count < len(tables) and (room := room - len(text_columns(tables[count]))) >= 0:
            count += 1
        return tables[: max(count, 1)], tables[max(count, 1) :]

    def _read_together(self, tables: list[Table], stamp: str | None) -> dict[str, TableValues]:
        """The values of tables of SQLite, from one query; empty if that cannot read them."""
        columns = [(table, column) for table in tables for column in text_columns(table)]
        values = distinct_in_one_query(self.database, columns, self._private) if columns else []
        if values is None:
            return {}
        distinct: dict[str, dict[str, list[str]]] = {table.name: {} for table in tables}
        for (table, column), found in zip(columns, values, strict=True):
            distinct[table.name][column.name] = found
        return {table.name: TableValues(stamp, _columns(table), {}, distinct[table.name]) for table in tables}

    def _read(self, table: Table, stamp: str | None, columns: list[str]) -> TableValues:
        samples: dict[str, list[str]] = {}
        if self.database.engine.catalogue:
            samples = {column.name: [*column.values] for column in with_values(self.database, table).columns}
        distinct = {
            column.name: distinct_values(self.database, table, column, private=self._private)
            for column in text_columns(table)
        }
        read = {name: values for name, values in distinct.items() if values is not None}
        return TableValues(stamp if len(read) == len(distinct) else None, columns, samples, read)


def _columns(table: Table) -> list[str]:
    return [f"{column.name} {column.type}" for column in table.columns if not column.private]


def cache_path(name: str, location: str) -> Path:
    """The cache file of a database's values."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "chaku" / "sql" / f"{file_name(name, location)}.json"


def vectors_path(name: str, location: str) -> Path:
    """The cache file of the vectors of a database's tables and remembered questions."""
    return cache_path(name, location).with_suffix(".vectors.npz")


def _load(path: Path) -> dict[str, TableValues]:
    """The cached values; empty for a broken file or another format, which will be overwritten."""
    try:
        stored: Any = json.loads(path.read_text(encoding="utf-8"))
        tables = stored["tables"] if stored["version"] == VERSION else {}
        known = {name: TableValues(**values) for name, values in tables.items()}
        return known if all(map(_is_whole, known.values())) else {}
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return {}


def _is_whole(kept: TableValues) -> bool:
    """Whether all lists hold only texts. Raises TypeError or AttributeError for other shapes."""
    lists = [kept.columns, *kept.samples.values(), *kept.distinct.values()]
    return all(isinstance(text, str) for listed in lists for text in listed)


def _save(path: Path, known: dict[str, TableValues]) -> None:
    """Write the cache. Only the user may read the file, since its values come from the database."""
    stored = {"version": VERSION, "tables": {name: asdict(values) for name, values in known.items()}}
    with atomic_file(path) as temporary:
        temporary.chmod(0o600)
        temporary.write_text(json.dumps(stored, ensure_ascii=False), encoding="utf-8")


def _index(known: dict[str, TableValues]) -> ValueIndex:
    index = ValueIndex()
    for table, values in known.items():
        for column, distinct in values.distinct.items():
            for value in distinct:
                index.add(table, column, value)
    return index


def _with_samples(schema: Schema, known: dict[str, TableValues]) -> Schema:
    def sampled(table: Table) -> Table:
        samples = known[table.name].samples if table.name in known else {}
        columns = (replace(column, values=tuple(samples.get(column.name, ()))) for column in table.columns)
        return replace(table, columns=tuple(columns))

    return replace(schema, tables=tuple(map(sampled, schema.tables)))


def _readable(schema: Schema) -> tuple[Schema, tuple[Dropped, ...]]:
    """The schema without names that contain line breaks or other control characters, which would break a prompt."""
    dropped = [Dropped("table", repr(known.name)) for known in schema.tables if not known.name.isprintable()]
    tables = []
    for table in schema.tables:
        if table.name.isprintable():
            dropped += [
                Dropped("column", table.name, repr(column.name))
                for column in table.columns
                if not column.name.isprintable()
            ]
            tables.append(
                replace(table, columns=tuple(column for column in table.columns if column.name.isprintable()))
            )
    return replace(schema, tables=tuple(table for table in tables if table.columns)), tuple(dropped)
