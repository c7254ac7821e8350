"""Checks the parse tree of a statement: it must be one query whose functions only compute."""

from collections.abc import Mapping

from sqlglot import exp

from chaku.sql.engines.known import ENGINES
from chaku.sql.execute.functions import FUNCTIONS, NODES
from chaku.sql.execute.parse import SQLGLOT_ERRORS, Refused, first_line, parse
from chaku.sql.execute.to_text import NotBuiltIn, to_text
from chaku.sql.schema.definition import Dialect

LONGEST_STATEMENT = 50_000  # characters
UNSAFE_BINARY = {"PropertyEQ", "Kwarg", "Operator"}  # assignments, and operators named through a function's schema
CATALOGS = {"pg_catalog", "information_schema", "pg_toast", "mysql", "performance_schema", "sys", "system"}
OWN_TABLES = ("pg_", "pragma_", "duckdb_", "sqlite_")  # prefixes of their names


def check_read_only(sql: str, dialect: Dialect, extensions: Mapping[str, str] | None = None) -> str:
    """Check a statement, and write it again from its tree, so that exactly the checked statement runs.

    PostgreSQL's functions are written as pg_catalog.name. `extensions`: the schemas of other functions by name. Raises
    Refused unless the statement is one query that reads tables and calls functions of FUNCTIONS.
    """
    if len(sql) > LONGEST_STATEMENT:
        raise Refused(f"the statement is longer than {LONGEST_STATEMENT} characters")
    tree, engine = parse(sql, dialect), ENGINES[dialect]
    if not _is_query(tree):
        raise Refused(f"not a query but {_words(tree)}: only one SELECT runs")
    for node in tree.walk():
        _check_node(node, dialect)
        if engine.dots_call:
            _check_dot(node)
    return write_sql(tree, dialect, extensions=(extensions or {}) if engine.built_in else None)


def write_sql(tree: exp.Expr, dialect: Dialect, *, extensions: Mapping[str, str] | None = None) -> str:
    """A tree as text, without comments; see `to_text`. Raises Refused for a tree that cannot be written."""
    try:
        return to_text(tree, dialect, extensions=extensions)
    except NotBuiltIn as error:
        raise Refused(f"the function {error} is not called as one of PostgreSQL's own") from error
    except SQLGLOT_ERRORS as error:
        raise Refused(f"cannot be written for {dialect}: {first_line(error)}") from error


# Calls whose name is a text in the tree. ClickHouse's aggregates have suffixes, and parameters: quantile(0.9)(a).
_NAMED = (
    exp.Anonymous,
    exp.AnonymousAggFunc,
    exp.CombinedAggFunc,
    exp.ParameterizedAgg,
    exp.CombinedParameterizedAgg,
)


def _is_query(tree: exp.Expr) -> bool:
    return isinstance(tree, exp.Select | exp.SetOperation | exp.Subquery)


def _check_node(node: exp.Expr, dialect: Dialect) -> None:
    kind = type(node).__name__
    if isinstance(node, exp.Func):
        named = isinstance(node, _NAMED)
        names = {node.name.lower()} if named else {name.lower() for name in type(node).sql_names()}
        if not names & FUNCTIONS and not names & ENGINES[dialect].functions:
            raise Refused(f"the function {_name(node, dialect)} is not on the list of functions that may be called")
    elif isinstance(node, exp.Dot):
        owner = node.this.name.lower() if isinstance(node.this, exp.Identifier | exp.Column) else ""
        if isinstance(node.expression, exp.Func) and owner != "pg_catalog":
            raise Refused(f"the function {node.sql()} of a schema of its own is not on the list")
    elif isinstance(node, exp.Table):
        schema, name = node.db.lower(), node.name.lower()
        engine = ENGINES[dialect]
        own_schemas, own_tables = CATALOGS | engine.own_schemas, OWN_TABLES + engine.own_tables
        if schema in own_schemas or node.catalog.lower() in own_schemas or name.startswith(own_tables):
            raise Refused(f"the table {node.sql(comments=False)} belongs to the server itself")
        if node.catalog and engine.one_catalog:
            raise Refused(f"the table {node.sql(comments=False)} is named with its database; name it without")
    elif isinstance(node, exp.Binary | exp.Unary | exp.Connector):
        if kind in UNSAFE_BINARY:
            raise Refused(f"{_words(node)} is not allowed in a query")
    elif isinstance(node, exp.Query) and (more := [part for part in ("settings", "format") if node.args.get(part)]):
        raise Refused(f"{more[0].upper()} is not allowed in a query")
    elif kind not in NODES:
        raise Refused(f"{_words(node)} is not allowed in a query")


def _check_dot(node: exp.Expr) -> None:
    """Refuse `(value).f`: an engine whose dots call functions calls f if the value has no field f."""
    if isinstance(node, exp.Dot) and not node.expression.find(exp.Func):
        raise Refused(f"{node.sql(comments=False)[:100]} may call a function; fields of a value cannot be asked for")


def _name(call: exp.Func, dialect: Dialect) -> str:
    """A function's name in the dialect; sqlglot's internal names would not help a reader."""
    try:
        written = call.name if call.key == "anonymous" else call.sql(dialect=dialect, comments=False)
    except SQLGLOT_ERRORS:
        written = ""
    name = written.partition("(")[0].strip().lower()
    return name if name.isidentifier() else call.sql_name().lower()


def _words(node: exp.Expr) -> str:
    words = {
        "Into": "SELECT INTO",
        "Lock": "FOR UPDATE or FOR SHARE",
        "Parameter": "a variable",
        "Command": "a command",
    }
    return words.get(type(node).__name__, type(node).__name__.upper())
