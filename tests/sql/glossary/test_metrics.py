"""The SQL of metrics in each dialect: the servers run it, and the texts are checked."""

from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import pytest

import servers
from chaku.sql.execute.check import check
from chaku.sql.execute.database import Database
from chaku.sql.execute.read_only import check_read_only
from chaku.sql.glossary.rules import Rules
from chaku.sql.schema.definition import Schema, literal
from chaku.sql.schema.values import ValueIndex
from sql.glossary.rulebooks import HERE, TODAY, rules_of

ASKED = [
    "revenue",
    "revenue by quarter and country in 2023",
    "monthly revenue in 2023",
    "revenue by year",
    "daily revenue in June 2023",
    "top 5 customers by revenue",
    "Which countries have revenue over 20000?",
    "revenue in 2022 vs 2023",
    "units sold by category in 2023",
    "return rate by country",
]


def dated(schema: Schema, dialect) -> Schema:
    """The shop's schema with dates as a server has them."""

    def typed(column):
        return replace(column, type="DATE") if column.name in ("day", "joined") else column

    tables = tuple(replace(table, columns=tuple(map(typed, table.columns))) for table in schema.tables)
    return replace(schema, tables=tables, dialect=dialect)


@pytest.mark.parametrize("dialect", ["sqlite", "duckdb", "postgres", "mysql"])
@pytest.mark.parametrize("question", ASKED)
def test_the_sql_fits_the_schema_and_may_run_in_every_dialect(shop_schema, shop_words, question, dialect):
    schema = dated(shop_schema, dialect)
    found = Rules(shop_words, schema, ValueIndex()).answer(question, TODAY["shop"])
    assert check(found.sql, schema) == []
    if dialect != "sqlite":
        assert check_read_only(found.sql, dialect)


def test_mysql_writes_quarters_without_pipes(shop_schema, shop_words):
    found = Rules(shop_words, dated(shop_schema, "mysql"), ValueIndex()).answer("revenue by quarter", TODAY["shop"])
    assert "||" not in found.sql
    assert "CONCAT(DATE_FORMAT(" in found.sql


def statements(rules, sqlite, texts: str) -> list[str]:
    """The shop as SQL that every server reads, with dates as dates. `texts`: the type of texts."""
    made = []
    for table in rules.lexicon.schema.tables:
        kinds = {"REAL": "DOUBLE PRECISION", "TEXT": texts, "INTEGER": "BIGINT"}
        columns = [f"{c.name} {'DATE' if c.name in ('day', 'joined') else kinds[c.type]}" for c in table.columns]
        keys = [column.name for column in table.columns if column.primary_key]
        columns += [f"PRIMARY KEY ({', '.join(keys)})"]
        columns += [f"FOREIGN KEY ({key.columns[0]}) REFERENCES {key.table} (id)" for key in table.foreign_keys]
        made.append(f"CREATE TABLE {table.name} ({', '.join(columns)})")
        rows = [", ".join(map(literal, row)) for row in sqlite.run(f"SELECT * FROM {table.name}").rows]
        made.append(f"INSERT INTO {table.name} VALUES {', '.join(f'({row})' for row in rows)}")
    return made


@pytest.fixture
def same_as_sqlite(shop_rules, shop_file):
    """same_as_sqlite(url): whether the shop there answers as the SQLite file does."""

    def compare(url):
        with Database(str(shop_file)) as sqlite, Database(url) as database:
            rules = rules_of(database, HERE / "shop.glossary.toml")
            for question in ASKED:
                result = database.run(rules.answer(question, TODAY["shop"]).sql, schema=rules.lexicon.schema)
                assert result.ok, (question, result.reason)
                expected = sqlite.run(shop_rules.answer(question, TODAY["shop"]).sql).rows
                assert [tuple(map(plain, row)) for row in result.rows] == [tuple(map(plain, row)) for row in expected]

    return compare


@pytest.fixture
def shop_in(shop_rules, shop_file):
    """shop_in(texts): the statements that make the shop elsewhere."""

    def made(texts):
        with Database(str(shop_file)) as sqlite:
            return statements(shop_rules, sqlite, texts)

    return made


def test_duckdb_gives_the_rows_of_sqlite(shop_in, same_as_sqlite, tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="without duckdb rules on DuckDB are NOT tested")
    with closing(duckdb.connect(str(tmp_path / "shop.duckdb"))) as connection:
        for statement in shop_in("VARCHAR"):
            connection.execute(statement)
    same_as_sqlite(str(tmp_path / "shop.duckdb"))


def test_postgresql_gives_the_rows_of_sqlite(shop_in, same_as_sqlite):
    psycopg = pytest.importorskip("psycopg", reason="without psycopg rules on PostgreSQL are NOT tested")
    if servers.postgres_programs() is None:
        pytest.skip("NOT TESTED: rules on PostgreSQL, as no server is installed: apt install postgresql")
    with servers.postgres() as url:
        with psycopg.connect(url, autocommit=True) as owner:
            for statement in shop_in("TEXT"):
                owner.execute(statement)
        same_as_sqlite(url)


def test_mariadb_gives_the_rows_of_sqlite(shop_in, same_as_sqlite):
    pymysql = pytest.importorskip("pymysql", reason="without pymysql rules on MariaDB are NOT tested")
    if servers.mysql_program() is None:
        pytest.skip("NOT TESTED: rules on MariaDB, as no server is installed: apt install mariadb-server")
    with servers.mysql() as url:
        owner = pymysql.connect(unix_socket=url.split("=")[1], user="root", autocommit=True)
        with closing(owner), owner.cursor() as cursor:
            for statement in ("CREATE DATABASE test", "USE test", *shop_in("VARCHAR(100)")):
                cursor.execute(statement)
        same_as_sqlite(url)


def plain(cell):
    return round(float(cell), 4) if isinstance(cell, int | float | Decimal) else str(cell)


def test_default_filters_hold_for_a_metrics_table_and_for_joined_tables(shop_schema, shop_words):
    tables = {
        **shop_words.tables,
        "purchase": replace(shop_words.tables["purchase"], filter="status <> 'open'"),
        "customer": replace(shop_words.tables["customer"], filter="age > 17"),
    }
    rules = Rules(replace(shop_words, tables=tables), shop_schema, ValueIndex())
    orders = rules.answer("orders by country", TODAY["shop"])
    assert "WHERE purchase.status <> 'open'" in orders.sql
    assert "ON purchase.customer_id = customer.id AND customer.age > 17" in orders.sql


def test_an_answer_says_what_it_computed(answer):
    found = answer("How much revenue did we make in the UK in Q1 2023 by month?")
    assert found.words == (
        "by rule: revenue = sum(amount) of purchase where status IN ('paid', 'sent'); "
        "customer.country = 'United Kingdom'; day 2023-01-01 to 2023-03-31; by month"
    )
    assert found.tables == ("purchase", "customer")
