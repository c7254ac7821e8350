"""The description of a database engine: names, catalogue, session, and the forms of its queries."""

import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# The names of sqlglot's dialects. "mariadb" is chaku's own; tsql is SQL Server's.
Dialect = Literal[
    "sqlite", "duckdb", "postgres", "mysql", "mariadb", "clickhouse", "tsql", "snowflake", "bigquery", "trino",
    "redshift", "oracle",
]  # fmt: skip


@dataclass(frozen=True)
class Forms:
    """The forms of queries that the grammar of an engine has. The texts are parts of its rules.

    `functions`: names by their arguments, in order: e (an expression), s (a string), n (a number), u (a unit of time);
    ? marks an optional argument, and * an argument that may be repeated. `aggregates`: names by the shape of the call.
    `keywords`: patterns beside those of `ask.grammar_words`, or instead of them; an empty one removes a keyword.
    In `aggregate_calls`, `dates`, `added` and `suffix`, {x} stands for the suffix of a rule, {plain} for the rule of an
    argument, {over} for a window and {order} for an ORDER BY.
    """

    functions: Mapping[str, str]
    aggregates: Mapping[str, str]
    types: str
    keywords: Mapping[str, str]
    aggregate_calls: tuple[str, ...] = ()
    dates: tuple[str, ...] = ("NOW",)
    added: str = "product{x}"
    suffix: str = ""
    like: str = "LIKE"
    limit: str = "LIMIT INTEGER (OFFSET INTEGER)?"
    joins: str = "left|right|full"
    no_names: str = ""  # words that no query may use as a name, besides the reserved words
    top: bool = False  # SELECT TOP 3
    qualify: bool = False
    filters: bool = True  # sum(a) FILTER (WHERE ...)
    nulls: bool = True  # NULLS FIRST
    using: bool = True  # JOIN ... USING (a), NATURAL JOIN
    tuples: bool = True  # (a, b) IN (SELECT ...)
    parentheses: bool = True  # around a part of a UNION
    needs_alias: bool = True  # behind a subquery of FROM
    table_as: bool = True  # FROM orders AS o
    group_by_names: bool = True  # GROUP BY the name of a result
    having_names: bool = True  # HAVING with the name of a result


@dataclass(frozen=True)
class Catalogue:
    """The queries that read a schema, and the form of their rows. Flags are 0 and 1.

    `columns`: (schema, table, column, type, not null, comment, the table's comment), in the order of the columns.
    `keys`: (schema, table, key's name, whether it is the primary key, column, and the schema, table and column that it
    refers to), in the order of a key's columns. `search_path`: the schemas that a query need not name.
    `stamps`: (schema, table, kind, stamp), see `schema.change_stamps`; without it, values are read again every day.
    Snowflake's `keys` are two queries, with a ; between them. {name} stands for the database's name as a name, and
    {label} for it as it is. `own_functions`: the names of functions that users made, and that may hide the engine's.
    `extensions`: (function, schema) of extensions. `hidden_rows`: (schema, table) of tables whose rows the role sees in
    part. `short_types`: the beginning of a type, and its text in a prompt.
    """

    columns: str
    keys: str
    search_path: str
    stamps: str = ""
    own_functions: str = ""
    extensions: str = ""
    hidden_rows: str = ""
    short_types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Engine:
    """One database engine. `schemes`: the beginnings of its URLs. `driver`: SQLAlchemy's name for it; empty for a file.

    `session`: statements before each query. `connect`: arguments of the driver's connect, and `attributes` of its
    connection. In these three, {seconds} and {milliseconds} stand for the time limit, and {rows} for the limit of rows.
    `grace`: more seconds for a driver's import, a login and the network. `fold`: how the engine reads a name without
    quotes. `exact_tables`, `exact_columns`: whether it distinguishes the case of names. `functions`: functions that may
    be called besides those of `execute.functions`. `own_schemas`, `own_tables`: schemas of the server itself, and how
    the names of its tables begin. `built_in`: the schema of the engine's own functions, with which they are written, so
    that no function of a user with the same name is called. `table_functions`: the columns of functions in FROM; "" is
    the alias of the function. `row_ids`: names that may stand for a table's primary key. `cost_at`: where the JSON of
    `explain` has the cost; without it, the costs of all query blocks count. `dry_run`: the server estimates a query
    without running it. `only_role`: nothing but the check and the rights of the role keeps a query from writing.
    `version`: the query for the server's version and vendor, if another engine answers to the same URL. `tried`: the
    real engine that chaku's tests run; empty if no query of chaku has reached one.
    """

    dialect: Dialect
    title: str
    schemes: tuple[str, ...]
    forms: Forms
    reserved: frozenset[str]
    runner: Literal["sqlite", "duckdb", "server"] = "server"  # the part of the child process that runs its queries
    catalogue: Catalogue | None = None  # SQLite has no catalogue that needs queries
    driver: str = ""
    modules: tuple[str, ...] = ()
    extra: str = "sql"
    session: tuple[str, ...] = ()
    connect: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    grace: float = 0
    explain: str = ""  # the words in front of a query for its plan with a cost as JSON
    cost_at: tuple[str | int, ...] = ()
    dry_run: bool = False
    asks_first: bool = False  # it asks chaku before each action of a query, so queries run as they are written
    version: str = ""
    quotes: tuple[str, str] = ('"', '"')
    backticks: bool = False  # around a name, besides `quotes`
    lax_quotes: bool = False  # a name in double quotes that no table has is a string
    fold: Literal["", "lower", "upper"] = ""
    exact_tables: bool = False
    exact_columns: bool = False
    backslashes: bool = False  # a backslash in a string begins an escape
    first_rows: str = "{select} LIMIT {count}"
    system_columns: tuple[str, ...] = ()
    row_ids: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    own_schemas: frozenset[str] = frozenset()
    own_tables: tuple[str, ...] = ()
    checks_names: bool = True  # every query is checked against the schema, since names may reach further
    one_catalog: bool = True  # a name in three parts is another database's
    ascii_names: bool = False  # a name with other letters needs quotes
    strict_dates: bool = False  # a date cannot be compared with a text such as 2024-05-31
    text_dates: bool = False  # dates are stored as texts
    pipes_join: bool = True  # || joins texts
    dots_call: bool = False  # c.f calls the function f if c has no column f
    fields_by_dot: bool = False  # a.b is the field b of a column a
    whole_rows: bool = False  # the alias of a table stands for its whole row
    built_in: str = ""
    table_functions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    only_role: bool = False
    optional_functions: bool = False  # which functions it has depends on how this machine's library was built
    shared_forms: bool = False  # REGEXP and JSON are written in the forms that MySQL and MariaDB have
    can_vary: bool = False  # chaku can write copies of its file with other rows
    tried: str = ""

    @property
    def is_file(self) -> bool:
        return self.runner != "server"

    @property
    def missing(self) -> list[str]:
        """The modules of its driver that are not installed here."""
        return [module for module in self.modules if not _is_installed(module)]

    @property
    def warning(self) -> str:
        """What a user should know before a first query: what alone protects the data, and what was never tried."""
        said = []
        if self.only_role:
            said.append(
                f"{self.title} has no read-only session that chaku could use: only the check of each query, and the "
                "rights of your role, keep a query from writing, so give a role that may only read"
            )
        if not self.tried:
            said.append(f"no query of chaku has reached a server of {self.title} before (docs/asking.md, Engines)")
        return "; ".join(said)

    @property
    def estimates(self) -> bool:
        """Whether a server tells the cost of a query before it runs."""
        return bool(self.explain) or self.dry_run

    def quote(self, name: str) -> str:
        """A name in the engine's quotes."""
        begin, end = self.quotes
        return begin + name.replace(end, end * 2) + end

    def folded(self, name: str) -> str:
        """A name without quotes, as the engine reads it."""
        return {"": name, "lower": name.lower(), "upper": name.upper()}[self.fold]

    def settings(self, timeout: float, max_rows: int) -> dict[str, Any]:
        """What the process that runs a query must know about a session, with the limits of the query."""
        limits = {"seconds": max(math.ceil(timeout), 1), "milliseconds": int(timeout * 1000), "rows": max_rows + 1}
        return {
            "session": [statement.format(**limits) for statement in self.session],
            "connect": _filled(self.connect, limits),
            "attributes": _filled(self.attributes, limits),
            "grace": self.grace,
            "dry_run": self.dry_run,
        }

    def limited(self, select: str, count: int) -> str:
        """A SELECT of the first rows. `select`: the text behind the word SELECT."""
        rest = select.removeprefix("DISTINCT ")
        distinct = "DISTINCT " if rest != select else ""
        return self.first_rows.format(select=f"SELECT {select}", distinct=distinct, rest=rest, count=count)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that the module is in
        return False


def _filled(value: Any, limits: Mapping[str, int]) -> Any:
    """The limits in place of "{seconds}" and the like, as numbers."""
    if isinstance(value, Mapping):
        return {key: _filled(inner, limits) for key, inner in value.items()}
    if not isinstance(value, str):
        return value
    return limits[value[1:-1]] if value[1:-1] in limits else value.format(**limits)
