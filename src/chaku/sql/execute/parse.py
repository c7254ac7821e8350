"""Parses SQL text with sqlglot."""

import logging
from functools import cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.mysql import MySQL

from chaku.errors import ChakuError
from chaku.sql.schema.definition import Dialect

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns about commands, which are refused
# sqlglot raises its own errors for wrong text, but also AttributeError, TypeError and others for very wrong text. After
# any of them, the text is at fault, not the program.
SQLGLOT_ERRORS = (Exception,)
# sqlglot may read this number of tokens again, and READ_AGAIN_EACH more for each token of a statement. Usual statements
# need far less.
READ_AGAIN, READ_AGAIN_EACH = 1000, 10


class MariaDB(MySQL):
    """sqlglot's dialect for MariaDB, which sqlglot finds by the name of this class."""


class Refused(ChakuError):
    """A statement may not run; the message is the reason."""


def parse(sql: str, dialect: Dialect = "sqlite") -> exp.Expr:
    """The parse tree of one statement. Raises Refused for a text that is no statement, or several statements."""
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
    """The parser gave up. No subclass of sqlglot's errors, since the parser would catch it and try another rule."""


@cache
def _parser(dialect: Dialect) -> Any:
    """sqlglot's parser with a limit on backtracking.

    Without the limit, DECIMAL(DECIMAL(...)) takes twice as long for each level: a minute for 25 levels.
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
    """The first line of sqlglot's message, without its drawing of the place."""
    return " ".join(str(error).split("\n")[0].split())[:300]
