"""Checks a query against a schema before it runs: every table, column and alias, scope by scope."""

from sqlglot import exp

from chaku.sql.engines.known import ENGINES
from chaku.sql.execute.double_quotes import quote_literals
from chaku.sql.execute.names import QueryProblem, name_problems
from chaku.sql.execute.parse import Refused, parse
from chaku.sql.execute.private_columns import private_problems
from chaku.sql.schema.definition import Schema
from chaku.sql.schema.private import without_private


def check(sql: str, schema: Schema) -> list[QueryProblem]:
    """The errors that keep a query from running on a schema; empty for a query with right names and scopes.

    A query that reads a private column of the schema does not run either.
    """
    try:
        tree = parse_query(sql, schema)
    except Refused as error:
        return [QueryProblem(str(error))]
    if schema.private and (private := dict.fromkeys(private_problems(tree, schema))):
        return [QueryProblem(message) for message in private]
    found = name_problems(tree, without_private(schema))
    return list(dict.fromkeys(problem for problem, _ in found))  # a name may be wrong several times


def parse_query(sql: str, schema: Schema) -> exp.Expr:
    """The syntax tree of one query; SQLite's double-quoted strings become strings. Raises Refused for other texts."""
    tree = parse(sql, schema.dialect)
    if ENGINES[schema.dialect].lax_quotes and '"' in sql:
        tree = parse(quote_literals(sql, schema), schema.dialect)
    if not isinstance(tree, exp.Select | exp.SetOperation | exp.Subquery):
        raise Refused("not a query: only one SELECT runs")
    return tree
