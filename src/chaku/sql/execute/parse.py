"""SQL text as a parse tree."""

import logging

import sqlglot
from sqlglot import exp

from chaku.errors import ChakuError
from chaku.sql.schema.definition import Dialect

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what it cannot parse becomes a command, which we refuse
# What sqlglot raises on the text of a model: its own errors, and AttributeError, TypeError and others where the text is
# like nothing that it was written for. Whatever it is, the text is wrong and not the program.
SQLGLOT_ERRORS = (Exception,)


class Refused(ChakuError):
    """A statement that may not run; the message says why."""


def parse(sql: str, dialect: Dialect = "sqlite") -> exp.Expr:
    """The tree of one statement. Raises Refused when the text is none, or more than one."""
    try:
        trees = [tree for tree in sqlglot.parse(sql, dialect=dialect) if tree is not None]
    except SQLGLOT_ERRORS as error:
        raise Refused(f"cannot be parsed: {first_line(error)}") from error
    if len(trees) != 1:
        raise Refused("there is no statement" if not trees else "only one statement runs at a time")
    return trees[0]


def first_line(error: Exception) -> str:
    """What sqlglot says first, without its drawing of the place."""
    return " ".join(str(error).split("\n")[0].split())[:300]
