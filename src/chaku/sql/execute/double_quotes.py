"""Turns unknown names in double quotes into strings in single quotes, since SQLite reads such names as strings."""

from sqlglot import exp

from chaku.sql.execute.parse import parse
from chaku.sql.schema.definition import Schema


def quote_literals(sql: str, schema: Schema) -> str:
    """The query with 'name' in place of every "name" that is no column, result or alias in reach.

    Raises Refused when the text cannot be parsed.
    """
    tree = parse(sql)
    columns = _columns(schema)
    changes = []
    for column in tree.find_all(exp.Column):
        name, at = column.this, column.this.meta
        if column.args.get("table") or not name.args.get("quoted") or "start" not in at:
            continue
        text = sql[at["start"] : at["end"] + 1]
        if text[:1] == '"' and not _is_known(column, columns):
            changes.append((at["start"], at["end"] + 1, "'" + name.this.replace("'", "''") + "'"))
    for start, end, literal in sorted(changes, reverse=True):
        sql = sql[:start] + literal + sql[end:]
    return sql


def _columns(schema: Schema) -> dict[str, set[str]]:
    return {table.name.lower(): {column.name.lower() for column in table.columns} for table in schema.tables}


def _is_known(column: exp.Column, columns: dict[str, set[str]]) -> bool:
    name, select = column.name.lower(), column.parent_select
    while select is not None:
        sources = [join.this for join in select.args.get("joins") or []]
        sources += [select.args["from_"].this] if select.args.get("from_") else []
        for source in sources:
            if isinstance(source, exp.Table):
                # A source that is no table of the schema is a WITH query: it may have any column, so the name stays.
                if name in columns.get(source.name.lower(), {name}):
                    return True
            elif isinstance(source, exp.Subquery) and name in {column.lower() for column in source.this.named_selects}:
                return True
        if any(
            isinstance(expression, exp.Alias) and expression.alias.lower() == name for expression in select.expressions
        ):
            return True
        select = select.parent_select
    return False
