"""Keeps a database's cells from the model: what a prompt shows instead, and values that are filled in afterwards."""

from collections.abc import Sequence
from dataclasses import replace

from chaku.sql.ask.candidates import Candidate, wrong_query
from chaku.sql.execute.lexer import tokenize
from chaku.sql.schema.definition import Column, Schema, Table
from chaku.sql.schema.values import Match
from chaku.sql.schema.words import normalize


def without_values(schema: Schema) -> Schema:
    """The schema with names, types, keys and comments alone: no sampled values, and no labels of enum types."""

    def bare(column: Column) -> Column:
        kind = column.type.partition("(")[0] if "'" in column.type else column.type
        return replace(column, type=kind, values=())

    def bare_table(table: Table) -> Table:
        return replace(table, columns=tuple(map(bare, table.columns)))

    return replace(schema, tables=tuple(map(bare_table, schema.tables)))


def trouble_without_values(candidate: Candidate) -> str:
    """Says that a query failed, for the next prompt.

    The database's own message may quote a cell, so only the message of a query that did not run is said: it is made
    from the query and from names.
    """
    reason = "The database cannot run it" if candidate.ran else candidate.result.reason
    return wrong_query(candidate.written, reason)


def fill_values(sql: str, matches: Sequence[Match]) -> str:
    """The query with the database's spelling of values that the question means: 'UK' becomes 'United Kingdom'.

    A model that saw no values copies the question's words into the query. A text in the query is replaced if it is the
    phrase of a match, and the query names the column of this match.
    """
    tokens = tokenize(sql)
    words = {token.text.strip('"`[]').casefold() for token in tokens if token.kind in ("word", "quoted")}
    here = [match for match in matches if match.column.casefold() in words]
    values = {match.value for match in here}
    filled = []
    for token in tokens:
        text = token.text
        if token.kind == "string" and (said := text[1:-1].replace("''", "'")) not in values:
            meant = [match.value for match in here if match.phrase == normalize(said)]
            if meant:
                text = "'" + meant[0].replace("'", "''") + "'"
        filled.append(text)
    return "".join(filled)
