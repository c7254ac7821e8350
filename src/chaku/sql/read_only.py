"""What a statement may be made of, by its parse tree: one query, and only functions that compute and nothing else."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from chaku.errors import ChakuError
from chaku.sql.functions import FUNCTIONS, NODES
from chaku.sql.schema import Dialect

if TYPE_CHECKING:
    from sqlglot import exp

LONGEST_STATEMENT = 50_000  # characters
# Tokens that sqlglot may read again, beside as many for each token of a statement; usual ones make it read few again.
READ_AGAIN, READ_AGAIN_EACH = 1000, 10
UNSAFE_BINARY = {"PropertyEQ", "Kwarg", "Operator"}  # assignments, and operators named through a function's schema
CATALOGS = {"pg_catalog", "information_schema", "pg_toast", "mysql", "performance_schema", "sys", "system"}
OWN_TABLES = ("pg_", "pragma_", "duckdb_", "sqlite_")  # how their names begin

# What sqlglot raises on the text of a model: its own errors, and AttributeError, TypeError and others where the text is
# like nothing that it was written for. Whatever it is, the text is wrong and not the program.
SQLGLOT_ERRORS = (Exception,)


class Refused(ChakuError):
    """A statement that may not run; the message says why."""


def check_read_only(sql: str, dialect: Dialect, extensions: Mapping[str, str] | None = None) -> str:
    """The statement written anew from its tree, without comments, so that what was checked is what runs.

    PostgreSQL's functions are written as pg_catalog.name; `extensions` are others by name, with their schemas. Raises
    Refused unless it is one query that reads tables and calls functions of FUNCTIONS.
    """
    if len(sql) > LONGEST_STATEMENT:
        raise Refused(f"the statement is longer than {LONGEST_STATEMENT} characters")
    tree = parse_one(sql, dialect)
    if not _is_query(tree):
        raise Refused(f"not a query but {_words(tree)}: only one SELECT runs")
    for node in tree.walk():
        _check_node(node, dialect)
        if dialect == "postgres":
            _check_dot(node)
    return write_sql(tree, dialect, extensions=(extensions or {}) if dialect == "postgres" else None)


def parse_one(sql: str, dialect: Dialect) -> "exp.Expr":
    """The tree of one statement. Raises Refused when it is none, or more than one."""
    sqlglot = import_sqlglot()
    try:
        settings = sqlglot.Dialect.get_or_raise(dialect)
        tokens = settings.tokenize(sql)
        trees = [tree for tree in _parser(dialect)(dialect=settings).parse(tokens, sql) if tree is not None]
    except SQLGLOT_ERRORS as error:
        raise Refused(f"cannot be parsed: {_first_error(error)}") from error
    if len(trees) != 1:
        raise Refused("there is no statement" if not trees else "only one statement runs at a time")
    return trees[0]


class _TooInvolved(Exception):
    """Not an error of sqlglot's, which it would catch to try something else."""


@cache
def _parser(dialect: Dialect) -> Any:
    """sqlglot's parser, which gives up where it would read the same again and again.

    DECIMAL(DECIMAL(...)), 25 deep, is a minute's work: twice as much for each level.
    """
    base: Any = import_sqlglot().Dialect.get_or_raise(dialect).parser_class

    class Bounded(base):
        def reset(self) -> None:
            super().reset()
            self.read_again = 0

        def _retreat(self, index: int) -> None:
            self.read_again += max(self._index - index, 0)
            if self.read_again > READ_AGAIN + READ_AGAIN_EACH * len(self._tokens):
                raise _TooInvolved("its parts are nested in too many ways")
            super()._retreat(index)

    return Bounded


def write_sql(tree: "exp.Expr", dialect: Dialect, *, extensions: Mapping[str, str] | None = None) -> str:
    """A tree as text, without comments; see `render`. Raises Refused for one that cannot be written."""
    from chaku.sql.render import NotBuiltIn, render

    try:
        return render(tree, dialect, extensions=extensions)
    except NotBuiltIn as error:
        raise Refused(f"the function {error} is not called as one of PostgreSQL's own") from error
    except SQLGLOT_ERRORS as error:
        raise Refused(f"cannot be written for {dialect}: {_first_error(error)}") from error


def import_sqlglot() -> Any:
    """sqlglot, quiet. Raises ChakuError with the install command when it is missing."""
    import logging

    try:
        import sqlglot
    except ImportError:
        raise ChakuError("reading SQL needs sqlglot: pip install 'chaku[sql]'") from None
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what it cannot parse becomes a command, which we refuse
    return sqlglot


def _is_query(tree: "exp.Expr") -> bool:
    from sqlglot import exp

    return isinstance(tree, exp.Select | exp.SetOperation | exp.Subquery)


def _check_node(node: "exp.Expr", dialect: Dialect) -> None:
    from sqlglot import exp

    kind = type(node).__name__
    if isinstance(node, exp.Func):
        names = {node.name.lower()} if isinstance(node, exp.Anonymous) else {n.lower() for n in type(node).sql_names()}
        if not names & FUNCTIONS:
            raise Refused(f"the function {_name(node, dialect)} is not on the list of functions that may be called")
    elif isinstance(node, exp.Dot):
        owner = node.this.name.lower() if isinstance(node.this, exp.Identifier | exp.Column) else ""
        if isinstance(node.expression, exp.Func) and owner != "pg_catalog":
            raise Refused(f"the function {node.sql()} of a schema of its own is not on the list")
    elif isinstance(node, exp.Table):
        schema, name = node.db.lower(), node.name.lower()
        if schema in CATALOGS or node.catalog.lower() in CATALOGS or name.startswith(OWN_TABLES):
            raise Refused(f"the table {node.sql(comments=False)} belongs to the server itself")
    elif isinstance(node, exp.Binary | exp.Unary | exp.Connector):
        if kind in UNSAFE_BINARY:
            raise Refused(f"{_words(node)} is not allowed in a query")
    elif kind not in NODES:
        raise Refused(f"{_words(node)} is not allowed in a query")


def _check_dot(node: "exp.Expr") -> None:
    """PostgreSQL calls the function f where it reads `(value).f` and the value has no field f."""
    from sqlglot import exp

    if isinstance(node, exp.Dot) and not node.expression.find(exp.Func):
        raise Refused(f"{node.sql(comments=False)[:100]} may call a function; fields of a value cannot be asked for")


def _name(call: "exp.Func", dialect: Dialect) -> str:
    """A function's name as the dialect writes it: sqlglot's own names say nothing to a reader."""
    try:
        written = call.name if call.key == "anonymous" else call.sql(dialect=dialect, comments=False)
    except SQLGLOT_ERRORS:
        written = ""
    name = written.partition("(")[0].strip().lower()
    return name if name.isidentifier() else call.sql_name().lower()


def _words(node: "exp.Expr") -> str:
    words = {
        "Into": "SELECT INTO",
        "Lock": "FOR UPDATE or FOR SHARE",
        "Parameter": "a variable",
        "Command": "a command",
    }
    return words.get(type(node).__name__, type(node).__name__.upper())


def _first_error(error: Exception) -> str:
    return " ".join(str(error).split("\n")[0].split())[:300]
