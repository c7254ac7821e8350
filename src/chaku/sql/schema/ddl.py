"""Writes a schema for a prompt: CREATE TABLE statements within a token budget."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from chaku.errors import ChakuError
from chaku.sql.schema.definition import Dropped, Schema, Table, quote_name, quote_table

Render = Callable[[Schema, Table], str]


def to_ddl(
    schema: Schema, *, count_tokens: Callable[[str], int], max_tokens: int, render: Render | None = None
) -> tuple[str, list[Dropped]]:
    """The schema as DDL with types, keys, comments and sampled values, and the parts that did not fit.

    `render` writes one table (default: `ddl_table`). The least useful parts are dropped first: all values but one a
    column; the last values; comments; from the last table to the first, the columns that are no keys; and then whole
    tables, from the last. Raises ChakuError when the keys of the first table do not fit.
    """
    dropped: list[Dropped] = []
    render = render or ddl_table
    text = schema_text(schema, render)
    if count_tokens(text) <= max_tokens:
        return text, dropped
    for smaller, dropped in _with_less_said(schema):
        schema, text = smaller, schema_text(smaller, render)
        if count_tokens(text) <= max_tokens:
            return text, dropped
    sizes = {table.name: count_tokens(render(schema, table)) for table in schema.tables}
    for name, smaller, without in _with_fewer_parts(schema, dropped):
        left = next((table for table in smaller.tables if table.name == name), None)
        sizes[name] = count_tokens(render(smaller, left)) if left else 0
        if sum(sizes.values()) > max_tokens:  # a cheap estimate; counting the whole text each time would be slow
            continue
        text = schema_text(smaller, render)
        if count_tokens(text) <= max_tokens:
            return text, list(without)
    raise ChakuError(
        f"the schema of {schema.name} does not fit: the keys of its first table alone take more than {max_tokens} "
        "tokens; give the prompt more tokens"
    )


def _with_less_said(schema: Schema) -> Iterator[tuple[Schema, list[Dropped]]]:
    for keep in (1, 0):
        names = [Dropped("values", t.name, c.name) for t in schema.tables for c in t.columns if len(c.values) > keep]
        schema_now = _each_column(schema, keep_values=keep)
        if names:
            yield schema_now, names
    values = [Dropped("values", t.name, c.name) for t in schema.tables for c in t.columns if c.values]
    comments = [Dropped("comment", t.name) for t in schema.tables if t.comment]
    comments += [Dropped("comment", t.name, c.name) for t in schema.tables for c in t.columns if c.comment]
    bare = _each_column(schema, keep_values=0, keep_comments=False)
    yield replace(bare, tables=tuple(replace(table, comment="") for table in bare.tables)), values + comments


def _with_fewer_parts(schema: Schema, dropped: list[Dropped]) -> Iterator[tuple[str, Schema, list[Dropped]]]:
    """Smaller and smaller schemas: (the table that lost a part, the schema, all parts dropped so far)."""
    referenced = {(key.table, name) for table in schema.tables for key in table.foreign_keys for name in key.references}
    tables, dropped = list(schema.tables), list(dropped)
    for index in reversed(range(len(tables))):
        table = tables[index]
        keys = {name for key in table.foreign_keys for name in key.columns}
        keys |= {
            column.name for column in table.columns if column.primary_key or (table.name, column.name) in referenced
        }
        for column in reversed(table.columns):
            if column.name not in keys and len(tables[index].columns) > 1:
                kept = tuple(other for other in tables[index].columns if other.name != column.name)
                tables[index] = replace(table, columns=kept)
                dropped.append(Dropped("column", table.name, column.name))
                yield table.name, replace(schema, tables=tuple(tables)), dropped
    while len(tables) > 1:
        table = tables.pop()
        dropped = [part for part in dropped if part.kind != "column" or part.table != table.name]
        dropped.append(Dropped("table", table.name))
        yield table.name, replace(schema, tables=tuple(tables)), dropped


def _each_column(schema: Schema, keep_values: int, keep_comments: bool = True) -> Schema:
    def smaller(table: Table) -> Table:
        columns = (
            replace(column, values=column.values[:keep_values], comment=column.comment if keep_comments else "")
            for column in table.columns
        )
        return replace(table, columns=tuple(columns))

    return replace(schema, tables=tuple(map(smaller, schema.tables)))


def schema_text(schema: Schema, render: Render) -> str:
    """All tables of the schema, written by `render`."""
    return "\n".join(render(schema, table) for table in schema.tables)


def ddl_table(schema: Schema, table: Table) -> str:
    """A CREATE TABLE statement. A line has all about one column, so that a model reads it together."""

    def quoted(names: tuple[str, ...] | list[str]) -> str:
        return ", ".join(quote_name(name, schema.dialect) for name in names)

    key = [column.name for column in table.columns if column.primary_key]
    lines = []
    for column in table.columns:
        parts = [quoted([column.name]), column.type]
        parts += ["PRIMARY KEY"] if key == [column.name] else ["NOT NULL"] if column.not_null else []
        said = [_one_line(column.comment)] if column.comment else []
        said += [", ".join(column.values)] if column.values else []
        lines.append((" ".join(part for part in parts if part), f" -- {'; '.join(said)}" if said else ""))
    if len(key) > 1:
        lines.append((f"PRIMARY KEY ({quoted(key)})", ""))
    for foreign in table.foreign_keys:
        target = quote_table(foreign.table, foreign.namespace, schema.dialect)
        lines.append((f"FOREIGN KEY ({quoted(foreign.columns)}) REFERENCES {target}", ""))
        if foreign.references:
            lines[-1] = (f"{lines[-1][0]} ({quoted(foreign.references)})", "")
    body = "".join(
        f"  {line}{',' if index < len(lines) - 1 else ''}{comment}\n" for index, (line, comment) in enumerate(lines)
    )
    comment = f" -- {_one_line(table.comment)}" if table.comment else ""
    name = quote_table(table.name, table.namespace, schema.dialect)
    return f"CREATE TABLE {name} ({comment}\n{body});"


def compact_table(schema: Schema, table: Table) -> str:
    """A table with names and keys only: orders(id, buyer -> customer.id, day).

    A column such as customer_id has no arrow to customer.id, since its name says the same.
    """
    targets = {
        column: f" -> {key.table}.{reference}"
        for key in table.foreign_keys
        for column, reference in zip(key.columns, key.references, strict=False)
        if column.lower() != f"{key.table}_{reference}".lower()
    }
    columns = (quote_name(other.name, schema.dialect) + targets.get(other.name, "") for other in table.columns)
    return f"{quote_table(table.name, table.namespace, schema.dialect)}({', '.join(columns)})"


def _one_line(text: str) -> str:
    return " ".join(text.split())
