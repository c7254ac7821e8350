"""Leaves out random parts of schemas in training prompts, so that a model reads schemas and does not memorise them.

After OmniSQL (arXiv 2503.02240): keys and the columns of the gold query stay, and a random 10 to 100% of the other
columns; comments are left out at random. Only training has this noise; `chaku sql ask` shows the whole or the linked
schema.
"""

import random
from dataclasses import replace

from chaku.files import sha256_json
from chaku.sql.execute.check import check
from chaku.sql.execute.lexer import tokenize
from chaku.sql.schema.definition import Column, Schema, Table
from chaku.sql.scoring.datasets import Example

LEAST_KEPT = 0.1  # of the columns that are no keys and not in the query
COMMENT_KEPT = 0.5  # the probability to keep a comment, or the sampled values of a column


def with_noise(schema: Schema, example: Example, query: str, seed: int) -> Schema:
    """The schema without random parts, which depend only on the seed, the question and the query.

    A column whose name is in the query stays in every table; for a query with `*`, the tables that it names keep all
    columns. A table without any column left is removed, unless the query names it.
    """
    draw = random.Random(sha256_json([seed, example.database, example.question, query]))
    share = draw.uniform(LEAST_KEPT, 1.0)
    named = _names(query)
    every_column = _selects_all(query)
    keys = _keys(schema)
    tables = []
    for table in schema.tables:
        is_used = table.name.lower() in named
        kept = [
            column
            for column in table.columns
            if column.name.lower() in named
            or (table.name, column.name.lower()) in keys
            or (is_used and every_column)
            or draw.random() < share
        ]
        kept = kept or list(table.columns[: int(is_used)])
        if kept:
            tables.append(_with_fewer_comments(replace(table, columns=tuple(kept)), draw))
    noisy = replace(schema, tables=_without_broken_keys(tables))
    # The rules above compare only the texts of names. Keep the whole schema if the query needs a removed part.
    return schema if check(query, noisy) and not check(query, schema) else noisy


def num_columns(schema: Schema) -> int:
    """The number of columns of all tables."""
    return sum(len(table.columns) for table in schema.tables)


def _names(query: str) -> set[str]:
    """The words of a query in lower case; a name in quotes counts as one word."""
    tokens = (token for token in tokenize(query) if token.kind in ("word", "quoted"))
    return {token.text.strip('`"[]').lower() for token in tokens}


def _selects_all(query: str) -> bool:
    """Whether a query has a `*` that means columns, or a NATURAL join, which compares columns with equal names."""
    tokens = [token for token in tokenize(query) if token.kind not in ("space", "comment")]
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.text.lower() == "natural":
            return True
        if token.text == "*" and (before is None or before.text.lower() in ("select", "distinct", "all", ",", ".")):
            return True
    return False


def _keys(schema: Schema) -> set[tuple[str, str]]:
    """(table, column in lower case) of primary keys, foreign keys and the columns that they refer to."""
    names = {table.name.lower(): table.name for table in schema.tables}
    keys = {
        (table.name, column.name.lower()) for table in schema.tables for column in table.columns if column.primary_key
    }
    for table in schema.tables:
        for key in table.foreign_keys:
            keys |= {(table.name, column.lower()) for column in key.columns}
            keys |= {(names.get(key.table.lower(), key.table), column.lower()) for column in key.references}
    return keys


def _with_fewer_comments(table: Table, draw: random.Random) -> Table:
    def shown(column: Column) -> Column:
        comment = column.comment if draw.random() < COMMENT_KEPT else ""
        return replace(column, comment=comment, values=column.values if draw.random() < COMMENT_KEPT else ())

    comment = table.comment if draw.random() < COMMENT_KEPT else ""
    return replace(table, comment=comment, columns=tuple(map(shown, table.columns)))


def _without_broken_keys(tables: list[Table]) -> tuple[Table, ...]:
    """The tables without foreign keys to removed tables."""
    left = {table.name.lower() for table in tables}
    return tuple(
        replace(table, foreign_keys=tuple(key for key in table.foreign_keys if key.table.lower() in left))
        for table in tables
    )
