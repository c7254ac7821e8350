"""The queries of the shop's suite in every engine's dialect: accepted, checked, written again, and with the same rows.

DuckDB stands for the engines that are not installed. So this tests what chaku writes; not what the engine makes of it.
"""

from collections import Counter
from dataclasses import replace

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")
pytest.importorskip("duckdb", reason="needs the sql extra")

import duckdb
import sqlglot
from sqlglot import exp

from chaku.inference.constraints import Constraint, Vocabulary
from chaku.sql.ask.grammar import sql_grammar
from chaku.sql.engines.known import ENGINES
from chaku.sql.execute.check import check
from chaku.sql.execute.database import Database
from chaku.sql.execute.read_only import check_read_only
from chaku.sql.glossary.file import load_glossary
from chaku.sql.glossary.rules import RuleAnswer, Rules
from chaku.sql.schema.knowledge import Knowledge
from chaku.synthetic.shop import write_database
from chaku.tokens.tokenizer_training import train_tokenizer
from sql.glossary.rulebooks import HERE, TODAY, lines_of

DIALECTS = ("clickhouse", "tsql", "snowflake", "bigquery", "trino", "redshift", "oracle")
DATES = ("day", "joined")
FORMATS = {"YYYY": "%Y", "YYYY-": "%Y-", "MM": "%m", "YYYY-MM": "%Y-%m", "YYYY-MM-DD": "%Y-%m-%d"}
PART = 7  # each dialect gets every seventh question, so that all questions are covered


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """(the shop in DuckDB with dates, its knowledge)."""
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite"
    write_database(path)
    with Database(str(path)) as database, duckdb.connect() as connection:
        knowledge = Knowledge(database)
        for table in knowledge.schema.tables:
            result = database.run(f"SELECT * FROM {table.name}", max_rows=100_000)
            columns = ", ".join(f"{c.name} {'DATE' if c.name in DATES else c.type}" for c in table.columns)
            connection.execute(f"CREATE TABLE {table.name} ({columns})")
            marks = ", ".join("?" for _ in table.columns)
            connection.executemany(f"INSERT INTO {table.name} VALUES ({marks})", result.rows)
        yield connection, knowledge


def schema_of(knowledge, dialect):
    """The shop's schema as an engine stores it: names that have no quotes, and dates."""
    fold = ENGINES[dialect].folded
    tables = []
    for table in knowledge.schema.tables:
        columns = (
            replace(column, name=fold(column.name), type="DATE" if column.name in DATES else column.type)
            for column in table.columns
        )
        keys = (
            replace(
                key,
                table=fold(key.table),
                columns=tuple(map(fold, key.columns)),
                references=tuple(map(fold, key.references)),
            )
            for key in table.foreign_keys
        )
        tables.append(replace(table, name=fold(table.name), columns=tuple(columns), foreign_keys=tuple(keys)))
    return replace(knowledge.schema, tables=tuple(tables), dialect=dialect)


def in_duckdb(sql, dialect):
    """The query for DuckDB. sqlglot cannot know that SQL Server's + joins texts, nor the formats of TO_CHAR."""

    def other(node):
        if isinstance(node, exp.Add) and node.find(exp.Case):
            return exp.DPipe(this=node.left, expression=node.right)
        if isinstance(node, exp.ToChar) and node.args.get("format"):
            return exp.TimeToStr(this=node.this, format=exp.Literal.string(FORMATS[node.args["format"].name.upper()]))
        return node

    return sqlglot.parse_one(sql, read=dialect).transform(other).sql(dialect="duckdb")


def rows(connection, sql):
    found = connection.execute(sql).fetchall()
    return Counter(
        tuple(round(float(cell), 4) if isinstance(cell, int | float) else str(cell) for cell in row) for row in found
    )


@pytest.mark.parametrize("dialect", DIALECTS)
def test_gold_queries_pass_the_grammar_and_the_check_and_mean_the_same(dialect, shop):
    connection, knowledge = shop
    schema = schema_of(knowledge, dialect)
    accepts = Constraint(
        Vocabulary(train_tokenizer(["SELECT name FROM customers\n", "总数"], 300)), sql_grammar(schema)
    ).accepts
    questions = lines_of("questions.tsv", "shop")[DIALECTS.index(dialect) :: PART]
    wrong, seen = [], 0
    for _, gold in questions:
        try:
            expected = rows(connection, gold)
        except duckdb.Error:  # a date as a text, or a column that is not in GROUP BY: SQLite's own
            continue
        if "HAVING s" in gold and not ENGINES[dialect].forms.having_names:
            continue
        seen += 1
        sql = sqlglot.transpile(gold, read="sqlite", write=dialect)[0]
        written = check_read_only(sql, dialect)
        if not accepts([3 + byte for byte in sql.encode()]) or check(written, schema):
            wrong.append((sql, check(written, schema)))
            continue
        back = in_duckdb(written, dialect)
        if rows(connection, back) != expected:
            wrong.append((sql, back))
    assert seen >= 5
    assert wrong == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_queries_of_metrics_mean_the_same_in_every_dialect(dialect, shop):
    connection, knowledge = shop
    words = load_glossary(HERE / "shop.glossary.toml")
    rules_in_duckdb = Rules(words, schema_of(knowledge, "duckdb"), knowledge.values)
    schema = replace(schema_of(knowledge, dialect), tables=schema_of(knowledge, "duckdb").tables)
    rules = Rules(words, schema, knowledge.values)
    wrong, seen = [], 0
    for question, _ in lines_of("questions.tsv", "shop")[DIALECTS.index(dialect) :: PART]:
        expected, found = rules_in_duckdb.answer(question, TODAY["shop"]), rules.answer(question, TODAY["shop"])
        assert isinstance(expected, RuleAnswer)
        assert isinstance(found, RuleAnswer)
        seen += 1
        written = check_read_only(found.sql, dialect)
        back = in_duckdb(written, dialect)
        if check(written, schema) or rows(connection, back) != rows(connection, expected.sql):
            wrong.append((question, found.sql, back))
    assert seen >= 15
    assert wrong == []
