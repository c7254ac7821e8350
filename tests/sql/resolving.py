"""Whether all names of a query are of its schema, as sqlglot's `qualify` sees it."""

from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from chaku.sql.execute.parse import parse
from chaku.sql.schema.definition import Schema


def unresolved(sql: str, schema: Schema) -> str:
    """Why a name of the query belongs to no table of the schema, or "" when all do."""
    known = {
        table.name.lower(): {column.name.lower(): column.type or "TEXT" for column in table.columns}
        for table in schema.tables
    }
    try:
        qualify(parse(sql), schema=known, dialect="sqlite")
    except SqlglotError as error:
        return str(error).splitlines()[0]
    return ""
