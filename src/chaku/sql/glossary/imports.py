"""Brings words from a CSV file or the database's comments into a glossary. Entries that are there stay."""

import csv
import io
from dataclasses import dataclass, field, replace
from pathlib import Path

from chaku.errors import ChakuError
from chaku.files import read_text
from chaku.sql.execute.near_names import nearest
from chaku.sql.execute.parse import Refused
from chaku.sql.glossary.expressions import parse_metric
from chaku.sql.glossary.file import ColumnEntry, Glossary, MetricEntry, TableEntry
from chaku.sql.glossary.joins import find_column, find_table
from chaku.sql.schema.definition import Schema


@dataclass
class Imported:
    """What an import found: a glossary, and a sentence for each entry that it leaves out."""

    glossary: Glossary
    left_out: list[str] = field(default_factory=list)


def from_comments(schema: Schema) -> Imported:
    """The comments of tables and columns as descriptions."""
    tables = {}
    for table in schema.tables:
        columns = {column.name: ColumnEntry(description=column.comment) for column in table.columns if column.comment}
        if table.comment or columns:
            tables[table.name] = TableEntry(description=table.comment, columns=columns)
    return Imported(Glossary(tables))


def from_csv(path: Path, schema: Schema) -> Imported:
    """Rows of name, meaning, and perhaps synonyms (between semicolons), table, expression and filter, with a header.

    A name is a table ("orders"), a column ("orders.status"), or, with a table and an expression, a metric. Raises
    ChakuError for a file without these columns.
    """
    try:
        rows = list(csv.reader(io.StringIO(read_text(path, newline="")), strict=True))
    except csv.Error as error:
        raise ChakuError(f"{path} is not a CSV file: {error}") from None
    header = [name.strip().lower() for name in rows[0]] if rows else []
    if not {"name", "meaning"} <= set(header):
        raise ChakuError(f"{path} needs the columns name and meaning in its first line; it has {', '.join(header)}")
    found = Imported(Glossary())
    for row in rows[1:]:
        cells = dict(zip(header, (*map(str.strip, row), *[""] * len(header)), strict=False))
        name, synonyms = (
            cells["name"],
            tuple(word for word in map(str.strip, cells.get("synonyms", "").split(";")) if word),
        )
        if cells.get("expression"):
            found.glossary.metrics[name] = MetricEntry(
                cells["expression"], cells.get("table", ""), cells.get("filter", ""), "", synonyms, cells["meaning"]
            )
        elif name:
            _describe(found, schema, name, cells["meaning"], synonyms)
    return found


def _describe(found: Imported, schema: Schema, name: str, meaning: str, synonyms: tuple[str, ...]) -> None:
    """Add a description of a table or a column."""
    if table := find_table(schema, name):
        entry = found.glossary.entry_of(table.name)
        found.glossary.tables[table.name] = replace(entry, description=meaning, synonyms=synonyms)
        return
    owner, _, last = name.rpartition(".")
    table = find_table(schema, owner)
    column = find_column(table, last) if table else None
    if table is None or column is None:
        names = [f"{known.name}.{one.name}" for known in schema.tables for one in known.columns]
        near = nearest(name, names + [known.name for known in schema.tables])
        found.left_out.append(
            f"{name}: there is no such table or column" + (f"; the nearest is {near[0]}" if near else "")
        )
        return
    entry = found.glossary.entry_of(table.name)
    columns = {**entry.columns, column: ColumnEntry(synonyms, meaning)}
    found.glossary.tables[table.name] = replace(entry, columns=columns)


def merge(glossary: Glossary, imported: Imported, schema: Schema) -> Imported:
    """The glossary with the imported entries. What the glossary says stays; metrics that do not fit are left out."""
    tables = dict(glossary.tables)
    for name, entry in imported.glossary.tables.items():
        key = next((known for known in tables if known.lower() == name.lower()), name)
        tables[key] = _merged(tables.get(key, TableEntry()), entry)
    metrics, left_out = dict(glossary.metrics), list(imported.left_out)
    joins = tuple(dict.fromkeys((*glossary.joins, *imported.glossary.joins)))
    for name, metric in imported.glossary.metrics.items():
        if name in metrics:
            left_out.append(f"metric {name}: the glossary has it")
            continue
        try:
            parse_metric(name, Glossary(tables, {name: metric}), schema)
        except Refused as error:
            left_out.append(f"metric {name}: {error}")
        else:
            metrics[name] = metric
    return Imported(Glossary(tables, metrics, joins), left_out)


def _merged(known: TableEntry, new: TableEntry) -> TableEntry:
    columns = dict(known.columns)
    for name, column in new.columns.items():
        mine = columns.get(name, ColumnEntry())
        synonyms = tuple(dict.fromkeys((*mine.synonyms, *column.synonyms)))
        columns[name] = replace(mine, description=mine.description or column.description, synonyms=synonyms)
    return replace(
        known,
        synonyms=tuple(dict.fromkeys((*known.synonyms, *new.synonyms))),
        description=known.description or new.description,
        date=known.date or new.date,
        columns=columns,
    )
