"""Writes a first glossary from a database: labels, dates, comments, the values of short lists, and counts of rows."""

from collections import Counter, defaultdict

from chaku.sql.glossary.check import STRANGE
from chaku.sql.glossary.file import ColumnEntry, Glossary, MetricEntry, TableEntry
from chaku.sql.glossary.joins import primary_key
from chaku.sql.glossary.storage import date_form
from chaku.sql.schema.definition import Column, Schema, Table
from chaku.sql.schema.values import ValueIndex, text_columns
from chaku.sql.schema.words import normalize

SHORT_LIST = 8  # values of a column that are listed, to be given synonyms
LABELS = ("name", "title", "label")


def first_glossary(schema: Schema, values: ValueIndex) -> Glossary:
    """A glossary that fits the schema, for people to add their words to."""
    listed: dict[tuple[str, str], list[str]] = defaultdict(list)
    for places in values.places.values():
        for table_name, column, value in places:
            listed[table_name, column].append(value)
    tables = {table.name: _entry(table, schema, listed) for table in schema.tables}
    counts = Counter(table.bare_name.lower() for table in schema.tables)
    metrics = {
        f"number of {plural(table)}": MetricEntry("count(*)", table.name, synonyms=(plural(table),))
        for table in schema.tables
        if counts[table.bare_name.lower()] == 1 and not STRANGE.search(table.bare_name)
    }
    return Glossary(tables, metrics)


def plural(table: Table) -> str:
    """The words of a table's name for several of its rows."""
    words = normalize(table.bare_name.replace("_", " "))
    if words.endswith("s"):
        return words
    return f"{words[:-1]}ies" if words.endswith("y") and words[-2:-1] not in "aeiou" else f"{words}s"


def _entry(table: Table, schema: Schema, listed: dict[tuple[str, str], list[str]]) -> TableEntry:
    dates = [column.name for column in table.columns if date_form(column, schema.dialect) == "date"]
    texts = {column.name for column in text_columns(table)}
    columns = {}
    for column in table.columns:
        found = sorted(listed.get((table.name, column.name), ())) if column.name in texts else []
        values: dict[str, tuple[str, ...]] = dict.fromkeys(found, ()) if len(found) <= SHORT_LIST else {}
        if values or column.comment:
            columns[column.name] = ColumnEntry(description=column.comment, values=values)
    return TableEntry(
        description=table.comment,
        label=_label(table) if primary_key(table) else "",
        date=dates[0] if len(dates) == 1 else "",
        columns=columns,
    )


def _label(table: Table) -> str:
    """The column that names a row: one called "name", or "product_name" in a table of products; "" if there is none."""
    texts = text_columns(table)
    plain = [column for column in texts if normalize(column.name) in LABELS]
    ending = [column for column in texts if _words(column)[-1:] in ([label] for label in LABELS)]
    found = plain or ending
    return found[0].name if len(found) == 1 else ""


def _words(column: Column) -> list[str]:
    return normalize(column.name.replace("_", " ")).split()
