"""Columns that the glossary calls private: marked in a schema, and left out of what a model or a client may see."""

from dataclasses import replace

from chaku.sql.schema.definition import Schema, Table

Private = frozenset[tuple[str, str]]  # (table, column), in small letters


def mark_private(schema: Schema, private: Private) -> Schema:
    """The schema with these columns marked, and without their values. Names that do not exist are left alone."""
    if not private:
        return schema

    def marked(table: Table) -> Table:
        name = table.name.lower()
        if not any(of == name for of, _ in private):
            return table
        columns = (
            replace(column, private=True, values=()) if (name, column.name.lower()) in private else column
            for column in table.columns
        )
        return replace(table, columns=tuple(columns))

    return replace(schema, tables=tuple(map(marked, schema.tables)))


def without_private(schema: Schema) -> Schema:
    """The schema without its private columns, and without the foreign keys that need them."""
    if not schema.private:
        return schema

    def shown(table: Table) -> Table:
        keys = tuple(
            key
            for key in table.foreign_keys
            if not {(table.name.lower(), column.lower()) for column in key.columns} & schema.private
            and not {(key.table.lower(), column.lower()) for column in key.references} & schema.private
        )
        return replace(
            table, columns=tuple(column for column in table.columns if not column.private), foreign_keys=keys
        )

    return replace(schema, tables=tuple(table for table in map(shown, schema.tables) if table.columns))
