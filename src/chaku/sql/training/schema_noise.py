"""Schemas of training prompts with random parts left out, so that a model learns to read schemas, not these by heart.

After OmniSQL (arXiv 2503.02240): keys and the columns that the gold query uses stay, with a random 10 to 100% of the
rest; comments are left out at random. Asking shows whole schemas, or linked ones: the noise is of training alone.
"""

import random
from dataclasses import replace

from chaku.files import sha256_json
from chaku.sql.execute.check import check
from chaku.sql.execute.lexer import tokenize
from chaku.sql.schema.definition import Column, Schema, Table
from chaku.sql.scoring.datasets import Example

LEAST_KEPT = 0.1  # of the columns that are no key and that the query does not use
COMMENT_KEPT = 0.5  # chance of a comment, and of a column's sampled values


def with_noise(schema: Schema, example: Example, query: str, seed: int) -> Schema:
    """The schema with random parts left out: the same for the same seed, question and query.

    Nothing that `query` names goes: a column whose name stands in it stays in every table, and `*` keeps all columns of
    the tables that it names. A table that keeps no column goes, unless the query names it.
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
    # The names are told apart by their text alone; a query that some reading of SQL resolves otherwise keeps it all.
    return schema if check(query, noisy) and not check(query, schema) else noisy


def num_columns(schema: Schema) -> int:
    """Columns of all tables."""
    return sum(len(table.columns) for table in schema.tables)


def _names(query: str) -> set[str]:
    """Words of a query, without quotes, in lower case; of a name in quotes the whole."""
    tokens = (token for token in tokenize(query) if token.kind in ("word", "quoted"))
    return {token.text.strip('`"[]').lower() for token in tokens}


def _selects_all(query: str) -> bool:
    """Whether a query has a `*` that stands for columns, or a NATURAL join, which compares those of equal names."""
    tokens = [token for token in tokenize(query) if token.kind not in ("space", "comment")]
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.text.lower() == "natural":
            return True
        if token.text == "*" and (before is None or before.text.lower() in ("select", "distinct", "all", ",", ".")):
            return True
    return False


def _keys(schema: Schema) -> set[tuple[str, str]]:
    """(table, column in lower case) of primary keys, foreign keys and what they refer to."""
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
    """The tables without foreign keys to a table that has gone."""
    left = {table.name.lower() for table in tables}
    return tuple(
        replace(table, foreign_keys=tuple(key for key in table.foreign_keys if key.table.lower() in left))
        for table in tables
    )
