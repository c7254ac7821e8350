"""A schema as a prompt shows it: CREATE TABLE statements within a token budget."""

from collections.abc import Callable
from dataclasses import replace

from chaku.errors import ChakuError
from chaku.sql.schema import Schema, Table, quote_name


def to_ddl(schema: Schema, *, count_tokens: Callable[[str], int], max_tokens: int) -> tuple[str, list[str]]:
    """The schema as DDL with types, keys, comments and sampled values, and the names of what did not fit.

    What says least goes first: all values but one a column, the last values, comments, columns that are no key (those
    of the last table first), and at the end whole tables, from the last. Raises ChakuError when not even one table
    with its keys fits.
    """
    dropped: list[str] = []
    text = _ddl(schema)
    if count_tokens(text) <= max_tokens:
        return text, dropped
    for names, smaller in (_values(schema, 1), _values(schema, 0), _comments(schema)):
        if names:
            schema, dropped = smaller, [*(each for each in dropped if each not in names), *names]
            text = _ddl(schema)
            if count_tokens(text) <= max_tokens:
                return text, dropped
    tables = [(table, count_tokens(_table(schema, table))) for table in schema.tables]
    total = sum(size for _, size in tables)
    # Tokens at the seams between parts make the sum an estimate: the whole text is counted before it stands.
    for index in reversed(range(len(tables))):
        table, size = tables[index]
        spare = [column for column in table.columns if not _is_key(schema, table, column.name)]
        for column in reversed(spare):
            if total <= max_tokens and _fits(schema, tables, count_tokens, max_tokens):
                break
            if len(table.columns) > 1:
                table = replace(table, columns=tuple(each for each in table.columns if each.name != column.name))
                dropped.append(f"column {table.name}.{column.name}")
                total -= size
                size = count_tokens(_table(schema, table))
                total += size
                tables[index] = (table, size)
    while len(tables) > 1 and not (total <= max_tokens and _fits(schema, tables, count_tokens, max_tokens)):
        table, size = tables.pop()
        total -= size
        of_table = f"column {table.name}."
        dropped = [each for each in dropped if not each.startswith(of_table)] + [f"table {table.name}"]
    if not _fits(schema, tables, count_tokens, max_tokens):
        raise ChakuError(
            f"the schema of {schema.name} does not fit: its first table alone takes more than {max_tokens} tokens; "
            "give the prompt more tokens"
        )
    return _ddl(replace(schema, tables=tuple(table for table, _ in tables))), dropped


def _fits(schema: Schema, tables: list[tuple[Table, int]], count_tokens: Callable[[str], int], max_tokens: int) -> bool:
    return count_tokens(_ddl(replace(schema, tables=tuple(table for table, _ in tables)))) <= max_tokens


def _values(schema: Schema, keep: int) -> tuple[list[str], Schema]:
    names = [f"values of {t.name}.{c.name}" for t in schema.tables for c in t.columns if len(c.values) > keep]
    return names, _each_column(schema, keep_values=keep)


def _comments(schema: Schema) -> tuple[list[str], Schema]:
    names = [f"comment of {t.name}" for t in schema.tables if t.comment]
    names += [f"comment of {t.name}.{c.name}" for t in schema.tables for c in t.columns if c.comment]
    bare = _each_column(schema, keep_values=0, keep_comments=False)
    return names, replace(bare, tables=tuple(replace(table, comment="") for table in bare.tables))


def _each_column(schema: Schema, keep_values: int, keep_comments: bool = True) -> Schema:
    return replace(
        schema,
        tables=tuple(
            replace(
                table,
                columns=tuple(
                    replace(column, values=column.values[:keep_values], comment=column.comment if keep_comments else "")
                    for column in table.columns
                ),
            )
            for table in schema.tables
        ),
    )


def _is_key(schema: Schema, table: Table, column: str) -> bool:
    return (
        any(each.name == column and each.primary_key for each in table.columns)
        or any(column in key.columns for key in table.foreign_keys)
        or any(
            key.table == table.name and column in key.references
            for other in schema.tables
            for key in other.foreign_keys
        )
    )


def _ddl(schema: Schema) -> str:
    return "\n".join(_table(schema, table) for table in schema.tables)


def _table(schema: Schema, table: Table) -> str:
    """One line a column: a model reads names, types, keys and values side by side."""

    def quoted(name: str) -> str:
        return quote_name(name, schema.dialect)

    key = [column.name for column in table.columns if column.primary_key]
    lines = []
    for column in table.columns:
        parts = [quoted(column.name), column.type]
        parts += ["PRIMARY KEY"] if key == [column.name] else ["NOT NULL"] if column.not_null else []
        said = [_one_line(column.comment)] if column.comment else []
        said += [", ".join(column.values)] if column.values else []
        lines.append((" ".join(part for part in parts if part), f" -- {'; '.join(said)}" if said else ""))
    if len(key) > 1:
        lines.append((f"PRIMARY KEY ({', '.join(map(quoted, key))})", ""))
    for each in table.foreign_keys:
        columns, references = (", ".join(map(quoted, names)) for names in (each.columns, each.references))
        lines.append((f"FOREIGN KEY ({columns}) REFERENCES {quoted(each.table)} ({references})", ""))
    body = "".join(
        f"  {line}{',' if index < len(lines) - 1 else ''}{comment}\n" for index, (line, comment) in enumerate(lines)
    )
    comment = f" -- {_one_line(table.comment)}" if table.comment else ""
    return f"CREATE TABLE {quoted(table.name)} ({comment}\n{body});"


def _one_line(text: str) -> str:
    return " ".join(text.split())
