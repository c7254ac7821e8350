"""Reads published questions with their SQL: Spider and its relatives, BIRD, WikiSQL, and plain rows."""

import csv
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.files import atomic_file
from chaku.jsonl import read_lines
from chaku.sql.schema.definition import Schema, database_file, quote_name

FORMS = (
    """Spider's and CSpider's {"question", "query", "db_id"}, Spider-Syn's {"SpiderSynQuestion", "query", "db_id"}, """
    """BIRD's {"question", "SQL", "db_id", "evidence"}, """
    """WikiSQL's {"question", "sql", "table_id"} or plain {"question", "query", "database"}"""
)


@dataclass(frozen=True)
class Example:
    """A question about a database, and the gold query. `evidence`: BIRD's explanation of terms in the question."""

    question: str
    query: str
    database: str
    evidence: str = ""


def read_examples(path: Path) -> list[Example]:
    """Read the examples of a .json (a list) or .jsonl file; the keys of a row tell its form.

    WikiSQL's tables are read from the file beside `path`: train.tables.jsonl for train.jsonl. Raises ChakuError, with
    the row's number, for a row without a known form, and for a file without examples.
    """
    tables = {table["id"]: table for table in _wikisql_tables(path)}
    examples = []
    for number, row in read_lines(path):
        try:
            examples.append(_example(row, tables))
        except (KeyError, TypeError, IndexError) as error:
            raise ChakuError(f"{path}, row {number}: {error!r} is missing or wrong; a row is one of {FORMS}") from error
    if not examples:
        raise ChakuError(f"{path} has no examples; its rows must be {FORMS}")
    return examples


def _example(row: dict[str, Any], tables: dict[str, dict[str, Any]]) -> Example:
    if "table_id" in row:
        return Example(row["question"], _wikisql_query(row["sql"], tables[row["table_id"]]), row["table_id"])
    query = row["SQL"] if "SQL" in row else row["query"]
    database = row["db_id"] if "db_id" in row else row["database"]
    question = row["SpiderSynQuestion"] if "SpiderSynQuestion" in row else row["question"]
    if not all(isinstance(text, str) for text in (question, query, database)):
        raise TypeError("a question, query or database that is no string")
    return Example(question.strip(), query.strip(), database, (row.get("evidence") or "").strip())


# WikiSQL (Zhong, Xiong and Socher 2017): numbers of aggregates and operators.
_AGGREGATES = ("", "MAX", "MIN", "COUNT", "SUM", "AVG")
_OPERATORS = ("=", ">", "<")


def _wikisql_tables(path: Path) -> Iterator[dict[str, Any]]:
    beside = path.with_name(f"{path.stem}.tables.jsonl")
    if path.suffix == ".jsonl" and beside.is_file():
        yield from (row for _, row in read_lines(beside))


def _wikisql_columns(table: dict[str, Any]) -> list[str]:
    """The header as column names that differ for SQLite."""
    names: list[str] = []
    for title in table["header"]:
        name, number = title, 1
        while not name or name.lower() in {candidate.lower() for candidate in names}:
            number += 1
            name = f"{title or 'column'} {number}"
        names.append(name)
    return names


def _wikisql_query(sql: dict[str, Any], table: dict[str, Any]) -> str:
    columns = [quote_name(name) for name in _wikisql_columns(table)]
    aggregate, chosen = _AGGREGATES[sql["agg"]], columns[sql["sel"]]
    conditions = []
    for index, operator, value in sql["conds"]:
        number = table["types"][index] == "real" and _number(value)
        text = number or "'" + str(value).replace("'", "''") + "'"
        conditions.append(f"{columns[index]} {_OPERATORS[operator]} {text}")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {f'{aggregate}({chosen})' if aggregate else chosen} FROM {_wikisql_name(table)}{where}"


def _number(value: Any) -> str:
    try:
        return repr(float(value)) if "." in str(value) else str(int(value))
    except ValueError:
        return ""


def _wikisql_name(table: dict[str, Any]) -> str:
    return quote_name("table_" + table["id"].replace("-", "_"))


def write_wikisql_databases(path: Path, directory: Path) -> int:
    """Write ID/ID.sqlite into `directory` for each table of the file beside `path`; returns the number of tables.

    Files that exist stay. Text compares without regard to case, as in WikiSQL's own execution.
    """
    number = 0
    for table in _wikisql_tables(path):
        number += 1
        target = database_file(directory, table["id"])
        if target.exists():
            continue
        kinds = {"real": "REAL", "text": "TEXT COLLATE NOCASE"}
        columns = ", ".join(
            f"{quote_name(name)} {kinds[kind]}"
            for name, kind in zip(_wikisql_columns(table), table["types"], strict=True)
        )
        with atomic_file(target) as temporary, closing(sqlite3.connect(temporary)) as connection:
            connection.execute(f"CREATE TABLE {_wikisql_name(table)} ({columns})")
            marks = ", ".join("?" * len(table["header"]))
            connection.executemany(f"INSERT INTO {_wikisql_name(table)} VALUES ({marks})", table["rows"])
            connection.commit()
    return number


def with_keys(schema: Schema, told: Schema | None) -> Schema:
    """The schema, with comments and keys of `told` (a tables.json) for columns and tables that have none."""
    if told is None:
        return schema
    others = {table.name.lower(): table for table in told.tables}
    tables = []
    for table in schema.tables:
        other = others.get(table.name.lower())
        if other is None:
            tables.append(table)
            continue
        columns = {column.name.lower(): column for column in other.columns}
        has_key = any(column.primary_key for column in table.columns)
        merged = []
        for column in table.columns:
            also = columns.get(column.name.lower(), column)
            key = column.primary_key if has_key else also.primary_key
            merged.append(replace(column, comment=column.comment or also.comment, primary_key=key))
        keys = table.foreign_keys or other.foreign_keys
        tables.append(replace(table, columns=tuple(merged), foreign_keys=keys))
    return replace(schema, tables=tuple(tables))


def with_descriptions(schema: Schema, folder: Path) -> Schema:
    """The schema with comments from BIRD's database_description/TABLE.csv in `folder`, if these files exist."""
    files = {path.stem.lower(): path for path in folder.glob("*.csv")}
    tables = []
    for table in schema.tables:
        path = files.get(table.name.lower())
        about = dict(_descriptions(path)) if path else {}
        columns = (replace(column, comment=about.get(column.name.lower(), column.comment)) for column in table.columns)
        tables.append(replace(table, columns=tuple(columns)))
    return replace(schema, tables=tuple(tables))


def _descriptions(path: Path) -> Iterable[tuple[str, str]]:
    text = path.read_bytes().decode("utf-8-sig", "replace")  # some files use a Windows code page
    for row in csv.DictReader(text.splitlines()):
        name = (row.get("original_column_name") or "").strip().lower()
        parts = (row.get("column_name"), row.get("column_description"), row.get("value_description"))
        said = [" ".join(part.split()) for part in parts if part and part.strip().lower() != name]
        if name and said:
            yield name, "; ".join(dict.fromkeys(said))
