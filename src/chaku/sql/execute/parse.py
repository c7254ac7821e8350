"""SQL text as a parse tree."""

import logging
from functools import cache
from typing import Any

import sqlglot
from sqlglot import exp

from chaku.errors import ChakuError
from chaku.sql.schema.definition import Dialect

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what it cannot parse becomes a command, which we refuse
# What sqlglot raises on the text of a model: its own errors, and AttributeError, TypeError and others where the text is
# like nothing that it was written for. Whatever it is, the text is wrong and not the program.
SQLGLOT_ERRORS = (Exception,)
# Tokens that sqlglot may read again, beside as many for each token of a statement; usual ones make it read few again.
READ_AGAIN, READ_AGAIN_EACH = 1000, 10


class Refused(ChakuError):
    """A statement that may not run; the message says why."""


def parse(sql: str, dialect: Dialect = "sqlite") -> exp.Expr:
    """The tree of one statement. Raises Refused when the text is none, or more than one."""
    try:
        settings = sqlglot.Dialect.get_or_raise(dialect)
        tokens = settings.tokenize(sql)
        trees = [tree for tree in _parser(dialect)(dialect=settings).parse(tokens, sql) if tree is not None]
    except SQLGLOT_ERRORS as error:
        raise Refused(f"cannot be parsed: {first_line(error)}") from error
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
    base: Any = sqlglot.Dialect.get_or_raise(dialect).parser_class

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


def first_line(error: Exception) -> str:
    """What sqlglot says first, without its drawing of the place."""
    return " ".join(str(error).split("\n")[0].split())[:300]
