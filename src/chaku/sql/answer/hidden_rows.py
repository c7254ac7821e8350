"""Tells which tables of a query have rows that the role may not see."""

from sqlglot import exp

from chaku.sql.execute.parse import Refused, parse
from chaku.sql.schema.definition import Schema


def hidden_tables(sql: str, schema: Schema) -> tuple[str, ...]:
    """The tables of a query whose rows the database shows in part: row-level security hides the others."""
    hiding = [table for table in schema.tables if table.hides_rows]
    if not hiding:
        return ()
    try:
        read = {table.name.lower() for table in parse(sql, schema.dialect).find_all(exp.Table)}
    except Refused:
        return ()
    return tuple(table.name for table in hiding if table.bare_name.lower() in read)
