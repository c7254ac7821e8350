"""Writes a parse tree as SQL text with sqlglot, and corrects names and calls that an engine would misread.

Names that are reserved words get quotes: PostgreSQL answers `SELECT user` with the role. MySQL's REGEXP and ->> are
written in forms that MariaDB has too. PostgreSQL's functions can be written with their full names, so that `lower(c)`
never calls a function of the user with the same name.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlglot import Dialect as SqlglotDialect
from sqlglot import exp

from chaku.sql.engines.known import ENGINES
from chaku.sql.execute.parse import parse
from chaku.sql.schema.definition import Dialect, quote_name

# PostgreSQL's syntax that looks like a call, but can never call a function of the user: func_expr_common_subexpr of
# PostgreSQL's grammar, and words that are no functions.
POSTGRES_SYNTAX = frozenset(
    """all any array case cast coalesce cube current_date current_time current_timestamp exists extract greatest
    grouping interval least localtime localtimestamp normalize not nullif overlay position rollup row some substring
    trim""".split()  # noqa: SIM905
)
BUILT_IN = "pg_catalog"


class NotBuiltIn(Exception):
    """A call of a PostgreSQL function cannot be written with its full name."""


def to_text(tree: exp.Expr, dialect: Dialect, *, extensions: Mapping[str, str] | None = None) -> str:
    """The text of a tree, without comments.

    `extensions`: write PostgreSQL's functions with their schemas: the function's schema in `extensions`, or else
    pg_catalog. Raises NotBuiltIn for a call that cannot be written so, and SQLGLOT_ERRORS for other failures.
    """
    generator = _generator(dialect, extensions is not None)(dialect=dialect, comments=False)
    if extensions is None:
        return str(generator.generate(tree))
    generator.extensions = extensions
    text = str(generator.generate(_without_prefixes(tree)))
    _check_calls(text, extensions)
    return text


@cache
def _generator(dialect: Dialect, built_in: bool) -> Any:
    base: Any = SqlglotDialect.get_or_raise(dialect).generator_class
    written: dict[str, Any] = {"RESERVED_KEYWORDS": ENGINES[dialect].reserved}
    if ENGINES[dialect].shared_forms:
        written["TRANSFORMS"] = base.TRANSFORMS | _MARIADB
    if ENGINES[dialect].fold or ENGINES[dialect].ascii_names:
        written |= {"identifier_sql": _quoted_identifier, "engine": ENGINES[dialect]}
    if built_in:
        written |= {"func": _full_name, "unnest_sql": _full_unnest}
        written["TRANSFORMS"] = base.TRANSFORMS | {exp.Substring: _full_substring}
    return type(base.__name__, (base,), written)


_MARIADB = {
    exp.UtcDate: lambda self, node: self.func("UTC_DATE"),
    exp.RegexpLike: lambda self, node: self.binary(node, "REGEXP"),
    exp.JSONExtract: lambda self, node: self.func("JSON_EXTRACT", node.this, node.expression, *node.expressions),
    exp.JSONExtractScalar: lambda self, node: self.func(
        "JSON_UNQUOTE", self.func("JSON_EXTRACT", node.this, node.expression, *node.expressions)
    ),
}


def _quoted_identifier(self: Any, node: exp.Identifier) -> str:
    """Quotes keep the case of a reserved word, so write it as the engine reads it without quotes."""
    needed = node.name.lower() in self.RESERVED_KEYWORDS or (self.engine.ascii_names and not node.name.isascii())
    if needed and not node.args.get("quoted"):
        return str(self.engine.quote(self.engine.folded(node.name)))
    return str(super(type(self), self).identifier_sql(node))


def _full_name(self: Any, name: str, *arguments: Any, **settings: Any) -> str:
    owner = quote_name(self.extensions.get(name.lower(), BUILT_IN), "postgres")
    prefix = "" if name.lower() in POSTGRES_SYNTAX else f"{owner}."
    return prefix + str(super(type(self), self).func(name, *arguments, **settings))


def _full_unnest(self: Any, node: exp.Unnest) -> str:
    text = str(super(type(self), self).unnest_sql(node))
    return f"{BUILT_IN}.{text}" if text.startswith("UNNEST(") else text


def _full_substring(self: Any, node: exp.Substring) -> str:
    if _is_syntax(node):
        return str(super(type(self), self).TRANSFORMS[exp.Substring](self, node))
    return f"{BUILT_IN}.SUBSTRING({self.sql(node, 'this')})"


def _without_prefixes(tree: exp.Expr) -> exp.Expr:
    """Turn `pg_catalog.lower(a)` into `lower(a)`; the prefix is added again later."""
    tree = tree.copy()
    for call in list(tree.find_all(exp.Func)):
        if _is_in(call, BUILT_IN) and (owner := call.find_ancestor(exp.Dot, exp.Column, exp.Table)) is not None:
            if isinstance(owner, exp.Table):
                owner.set("db", None)
            else:
                owner.replace(owner.expression if isinstance(owner, exp.Dot) else owner.this)
    return tree


def _check_calls(text: str, extensions: Mapping[str, str]) -> None:
    """Parse the text again. Raises NotBuiltIn for a call of a function without its right schema."""
    for call in parse(text, "postgres").find_all(exp.Func):
        written = re.match(r"\s*\"?(\w+)\"?\s*\(", call.sql(dialect="postgres", comments=False))
        if not written or (written[1].lower() in POSTGRES_SYNTAX and _is_syntax(call)):
            continue
        if not _is_in(call, extensions.get(written[1].lower(), BUILT_IN)):
            raise NotBuiltIn(written[1].lower())


def _is_syntax(call: exp.Func) -> bool:
    """Whether a call in POSTGRES_SYNTAX is written as syntax: substring(a FROM 1) is, but substring(a) is a call."""
    return not isinstance(call, exp.Substring) or any(call.args.get(part) for part in ("start", "length"))


def _is_in(call: exp.Func, schema: str) -> bool:
    """Whether the call is written with the name of `schema` and a dot, as an expression or as a table of FROM."""
    node: exp.Expr = call
    while isinstance(node.parent, exp.Filter | exp.WithinGroup | exp.Window) and node.parent.this is node:
        node = node.parent
    parent = node.parent
    if isinstance(parent, exp.Dot):
        owner = parent.this
        return parent.expression is node and isinstance(owner, exp.Identifier | exp.Var) and owner.name == schema
    if isinstance(parent, exp.Column):  # sqlglot's tree for a call with FILTER or WITHIN GROUP
        return parent.this is node and parent.table == schema and not parent.db
    return isinstance(parent, exp.Table) and parent.this is node and parent.db == schema and not parent.catalog
