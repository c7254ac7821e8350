"""Opens a database by its URL, read-only behind several layers of protection."""

import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from chaku.errors import ChakuError
from chaku.sql.engines.engine import Engine
from chaku.sql.engines.known import ENGINES
from chaku.sql.execute.check import check
from chaku.sql.execute.cost import too_costly
from chaku.sql.execute.parse import Refused
from chaku.sql.execute.read_only import check_read_only
from chaku.sql.execute.runner import (
    MAX_BYTES,
    MAX_CELL,
    MAX_ROWS,
    MEMORY_BYTES,
    TIMEOUT,
    QueryProcess,
    Result,
    process_command,
)
from chaku.sql.schema.definition import Dialect, Schema, Table, quote_name, quote_table
from chaku.sql.schema.introspect import introspect

SAID_PROBLEMS = 3  # wrong names in one message
MAX_FUNCTIONS = 100_000  # of a database's users and extensions


class Database(AbstractContextManager["Database"]):
    """One database, behind a child process. A context manager; one query runs at a time.

    SQLite is guarded by its own authorizer. For other engines, a statement is checked by its parse tree and written
    again from the tree (`read_only`). It then runs in a read-only session: DuckDB is opened read-only, with external
    access off and a locked configuration; a server runs it after the statements of `Engine.session`. A role that may
    only read is still the best protection, and for some servers the only one behind the check (docs/asking.md).

    Raises ChakuError for a URL of another kind, a missing file, and a missing driver.
    """

    def __init__(self, url: str):
        self.dialect, self.location = parse_url(url)
        self.engine = ENGINES[self.dialect]
        if missing := self.engine.missing:
            extra = self.engine.extra
            raise ChakuError(f"{self.engine.title} databases need {', '.join(missing)}: pip install 'chaku[{extra}]'")
        if self.engine.is_file and not Path(self.location).is_file():
            raise ChakuError(f"{self.location} is not a database file; check the path")
        # Drivers reserve far more address space than they use, so written memory has its own limit. DuckDB's own limit
        # of 1 GB does not count everything: one function on one long value took 3 GB.
        imports = bool(self.engine.modules)
        limits = (8 * MEMORY_BYTES, 2 * MEMORY_BYTES) if imports else (MEMORY_BYTES,)
        command = process_command(*limits, imports=imports)
        environment: dict[str, str] | None = {} if self.engine.is_file else None  # libpq reads PGPASSWORD, HOME
        self._child = QueryProcess(command, environment=environment)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._child.stop()

    def interrupt(self) -> None:
        """End the query that another thread waits for. A server's query ends there at its own time limit."""
        self._child.interrupt()

    @property
    def name(self) -> str:
        """The name of the file without its suffix, or the name of the database on its server."""
        if self.engine.is_file:
            return Path(self.location).stem
        place = self.location.partition("?")[0].rstrip("/")
        return unquote(place.rpartition("/")[2].rpartition("@")[2])

    @cached_property
    def server(self) -> Engine:
        """The engine that answers: MariaDB answers to mysql://, too, and says what it is."""
        if not self.engine.version:
            return self.engine
        said = str(self.run_unchecked(self.engine.version).rows)
        alike = [engine for engine in ENGINES.values() if engine.version == self.engine.version]
        return next((engine for engine in alike if engine.title in said), alike[0])

    @property
    def place(self) -> str:
        """A text that identifies the database: the absolute path of its file, or the URL, which may have a password."""
        return str(Path(self.location).resolve()) if self.engine.is_file else self.location

    def run(
        self,
        sql: str,
        *,
        schema: Schema | None = None,
        timeout: float = TIMEOUT,
        max_rows: int = MAX_ROWS,
        max_bytes: int = MAX_BYTES,
        max_cell: int = MAX_CELL,
        max_cost: float | None = None,
    ) -> Result:
        """The rows of one query, or the reason why it failed or was refused.

        `schema`: a query that names other tables or columns does not run. PostgreSQL reads an unknown column as a call
        of a function, and other servers' names may reach further too, so such an engine's queries are always checked
        against a schema (default: the database's schema). `max_cost`: a query does not run if the server estimates a
        higher cost; see `cost`. Raises ChakuError as `run_unchecked` does.
        """
        limits: dict[str, Any] = {
            "timeout": timeout, "max_rows": max_rows, "max_bytes": max_bytes, "max_cell": max_cell,
        }  # fmt: skip
        try:
            checked = sql if self.engine.asks_first else check_read_only(sql, self.dialect, self._extensions)
            hiding = self._own_functions
        except Refused as error:
            return Result("refused", f"not allowed: {error}")
        if own := next((name for name in hiding if re.search(rf"\b{name}`?\s*\(", checked, re.I)), None):
            return Result("refused", f"not allowed: {own} is a function of this database, and may do anything")
        if schema is None and self.engine.checks_names:
            schema = self.schema
        if schema is not None and (problems := check(checked, schema)):
            return Result("failed", "; ".join(problem.message for problem in problems[:SAID_PROBLEMS]))
        if max_cost is not None and (refusal := too_costly(checked, self.dialect, max_cost, self._explain)):
            return refusal
        return self.run_unchecked(checked, **limits, private=schema.private if schema else ())

    def _explain(self, sql: str) -> Result:
        return self.run_unchecked(sql, explain=True, max_cell=MAX_BYTES)

    @cached_property
    def _extensions(self) -> dict[str, str]:
        """PostgreSQL functions from extensions (similarity, unaccent): name -> schema.

        Leaves out a function if the user has defined a function with the same name in the same schema.
        """
        catalogue = self.engine.catalogue
        if catalogue is None or not catalogue.extensions:
            return {}
        return dict(self.run_unchecked(catalogue.extensions, max_rows=MAX_FUNCTIONS).rows)

    @cached_property
    def _own_functions(self) -> tuple[str, ...]:
        """The functions that users of the database have made, where such a function may hide the engine's own.

        Raises Refused if they cannot be read: then no call is known to be harmless.
        """
        catalogue = self.engine.catalogue
        if catalogue is None or not catalogue.own_functions:
            return ()
        result = self.run_unchecked(catalogue.own_functions, max_rows=MAX_FUNCTIONS)
        if not result.ok or result.truncated:
            why = result.reason or f"there are more than {MAX_FUNCTIONS:,}"
            raise Refused(f"the functions of this database's users cannot be read: {why}")
        return tuple(re.escape(name) for (name,) in result.rows)

    @cached_property
    def schema(self) -> Schema:
        """The tables, without values, read once. Raises ChakuError when the database cannot be read."""
        return introspect(self, num_values=0)

    def is_unique(self, table: Table, column: str) -> bool:
        """Whether no two rows of a table have one value of a column; False if that cannot be read."""
        name = quote_name(column, self.dialect, always=True)
        source = quote_table(table.name, table.namespace, self.dialect, always=True)
        counts = f"count(*) FROM {source} WHERE {name} IS NOT NULL GROUP BY {name} HAVING count(*) > 1"
        result = self.run_unchecked(self.engine.limited(counts, 1))
        return result.ok and not result.rows

    def named(self, query: str) -> str:
        """A query of the engine's catalogue with this database's name."""
        return query.replace("{name}", self.engine.quote(self.name)).replace("{label}", self.name)

    def run_unchecked(self, sql: str, *, private: Iterable[tuple[str, str]] = (), **limits: Any) -> Result:
        """Run a statement of chaku, such as a query of the catalogue, without the check of its parse tree.

        `private`: the (table, column) that SQLite refuses to read, in views too. Raises ChakuError for a file that is
        gone, and for a server that cannot be reached or goes away in the middle.
        """
        limits = {
            "timeout": TIMEOUT, "max_rows": MAX_ROWS, "max_bytes": MAX_BYTES, "max_cell": MAX_CELL, **limits,
        }  # fmt: skip
        if self.engine.is_file and not Path(self.location).is_file():
            raise ChakuError(f"{self.location} is not a database file; check the path")
        request = {"runner": self.engine.runner, "path": self.place, "sql": sql, "private": [*private], **limits}
        result = self._child.ask({**request, **self.engine.settings(limits["timeout"], limits["max_rows"])})
        if result.status == "away":
            raise ChakuError(f"the database {self.name} does not answer: {result.reason}")
        return result


def parse_url(url: str) -> tuple[Dialect, str]:
    """(dialect, a path or a URL with a driver) for a path or a SQLAlchemy URL. Raises ChakuError for other URLs."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _sniff(Path(url)), url
    known = {name: engine for engine in ENGINES.values() for name in engine.schemes}
    engine = known.get(scheme.partition("+")[0].lower())
    if engine is None:
        raise ChakuError(
            f"chaku cannot open {scheme}:// databases; give sqlite:///PATH, duckdb:///PATH, "
            f"postgresql://USER@HOST/NAME or a URL of {', '.join(sorted(known.keys() - {'sqlite', 'duckdb'}))}"
        )
    if engine.is_file:
        return engine.dialect, unquote(rest.removeprefix("/"))
    return engine.dialect, f"{engine.driver}://{rest}"


def _sniff(path: Path) -> Dialect:
    """The dialect of a file: DuckDB's files have DUCK at byte 8; any other file is opened as SQLite, which may fail."""
    if not path.is_file():
        wrong = "is a directory" if path.is_dir() else "does not exist"
        raise ChakuError(f"{path} {wrong}; give a database file or a URL such as postgresql://USER@HOST/NAME")
    with path.open("rb") as file:
        return "duckdb" if file.read(12)[8:] == b"DUCK" else "sqlite"
