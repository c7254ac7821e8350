"""The records that clients get about a database, over HTTP and MCP alike: schemas, rows, answers."""

from dataclasses import dataclass
from typing import Any

from chaku.sql.answer.chart import chart_of, vega_lite
from chaku.sql.ask.answers import Answer
from chaku.sql.ask.explain import explain
from chaku.sql.execute.json_cells import json_rows
from chaku.sql.execute.runner import Result
from chaku.sql.schema.definition import Schema


@dataclass(frozen=True)
class ColumnRecord:
    """A column. `values`: a few of its values, as SQL literals."""

    name: str
    type: str
    comment: str
    primary_key: bool
    not_null: bool
    values: list[str]


@dataclass(frozen=True)
class ForeignKeyRecord:
    """`columns` refer to the columns `references` of `table`."""

    columns: list[str]
    table: str
    references: list[str]


@dataclass(frozen=True)
class TableRecord:
    """A table, by its name in a query."""

    name: str
    comment: str
    columns: list[ColumnRecord]
    foreign_keys: list[ForeignKeyRecord]


@dataclass(frozen=True)
class SchemaRecord:
    """A database. `dialect`: sqlite, duckdb, postgres, mysql, or another engine of `sql.engines`."""

    database: str
    dialect: str
    tables: list[TableRecord]


@dataclass(frozen=True)
class RowsRecord:
    """The rows of a query. `truncated`: a limit cut them. Cells: see `json_rows`. `seconds`: of the query."""

    sql: str
    columns: list[str]
    rows: list[list[Any]]
    num_rows: int
    truncated: bool
    seconds: float


@dataclass(frozen=True)
class AnswerRecord(RowsRecord):
    """The answer to a question.

    `sentence`: says the rows in the question's language. `chart`: their Vega-Lite specification; None for rows that
    make no chart. `votes`: how many of the `samples` have these rows; `confidence`: their share. `assumed`: guesses on
    the way. `explanation`: the query in plain words. `tables`: those in the prompt; `left_out`: parts of the schema
    that had no room there. `seconds`: of the whole answer. `by_rule`: a metric of the glossary, or a new value in the
    query before, gave the query without samples. `session`: the id of the conversation; "" for a question outside of
    one.
    """

    question: str
    sentence: str
    chart: dict[str, Any] | None
    confidence: float
    votes: int
    samples: int
    assumed: list[str]
    explanation: list[str]
    tables: list[str]
    left_out: list[str]
    by_rule: bool
    session: str = ""


@dataclass(frozen=True)
class NoAnswerRecord:
    """The model, or every query that it wrote, gives no answer."""

    question: str
    reason: str
    session: str = ""


@dataclass(frozen=True)
class ClarifyRecord:
    """A question back. The next question of the session may be the number of a choice, from 1."""

    question: str
    choices: list[str]
    session: str


def schema_record(name: str, schema: Schema) -> SchemaRecord:
    """The record of a schema; `name`: the database's name for clients."""
    tables = [
        TableRecord(
            table.name,
            table.comment,
            [
                ColumnRecord(
                    column.name, column.type, column.comment, column.primary_key, column.not_null, [*column.values]
                )
                for column in table.columns
            ],
            [ForeignKeyRecord([*key.columns], key.table, [*key.references]) for key in table.foreign_keys],
        )
        for table in schema.tables
    ]
    return SchemaRecord(name, schema.dialect, tables)


def rows_record(sql: str, result: Result) -> RowsRecord:
    """The record of a query that ran."""
    return RowsRecord(sql, **_rows(result), seconds=result.seconds)


def answer_record(answer: Answer, schema: Schema, samples: int, seconds: float, session: str = "") -> AnswerRecord:
    """The record of an answer that is no refusal."""
    chart = chart_of(answer.result)
    return AnswerRecord(
        answer.sql,
        **_rows(answer.result),
        seconds=seconds,
        question=answer.question,
        sentence=answer.sentence,
        chart=vega_lite(chart) if chart else None,
        confidence=answer.confidence,
        votes=0 if answer.by_rule else round(answer.confidence * samples),
        samples=0 if answer.by_rule else samples,
        by_rule=answer.by_rule,
        assumed=[*answer.assumptions],
        explanation=explain(answer.sql, schema),
        tables=[*answer.tables],
        left_out=[str(part) for part in answer.dropped],
        session=session,
    )


def _rows(result: Result) -> dict[str, Any]:
    return {
        "columns": [*result.columns],
        "rows": json_rows(result.rows),
        "num_rows": len(result.rows),
        "truncated": result.truncated,
    }
