"""ClickHouse for real: its engine of the package chdb, behind its protocol, through its driver."""

import time

import pytest

pytest.importorskip("chdb", reason="NOT TESTED: ClickHouse, as chdb is not installed: pip install chdb")
pytest.importorskip("clickhouse_connect", reason="needs the clickhouse extra")

from chaku.sql.execute.check import check
from chaku.sql.execute.database import Database
from chaku.sql.schema.change_stamps import change_stamps
from chaku.sql.schema.introspect import introspect
from clickhouse_server import clickhouse
from sql.ask.test_grammar_forms import EVERYWHERE, TABLES, calls
from sql.engines.test_engine_forms import FORMS, NOT_EVERYWHERE, schema_of

KINDS = {"integer": "Int32", "varchar(80)": "Nullable(String)", "numeric(10, 2)": "Decimal(10, 2)", "boolean": "Bool"}
KINDS |= {"date": "Date", "timestamp": "DateTime"}


def statements():
    for name, columns in TABLES.items():
        listed = ", ".join(f"{column} {KINDS[kind]}" for column, kind in columns.items())
        yield f"CREATE TABLE {name} ({listed}) ENGINE = MergeTree ORDER BY tuple()"
    yield "INSERT INTO customers VALUES (1, 'Ada', 'FR', '2024-02-29', true), (2, NULL, 'DE', '2020-01-01', false)"
    yield "INSERT INTO staff VALUES (1, 'Bo', 0), (2, 'Cy', 1)"
    yield "CREATE VIEW french AS SELECT name FROM customers WHERE country = 'FR'"
    yield "ALTER TABLE customers COMMENT COLUMN name 'first and last'"
    yield "ALTER TABLE customers MODIFY COMMENT 'who buy'"
    yield "CREATE DATABASE web"
    yield "CREATE TABLE web.visits (page LowCardinality(String), tags Array(String)) ENGINE = Memory"


@pytest.fixture(scope="module")
def database():
    with clickhouse(*statements()) as url, Database(url) as database:
        yield database


def test_the_schema_is_read(database):
    tables = {table.name: table for table in introspect(database).tables}
    assert tables.keys() == {*TABLES, "french", "web.visits"}
    assert tables["customers"].comment == "who buy"
    name = tables["customers"].columns[1]
    assert (name.type, name.comment, name.values, name.not_null) == ("String", "first and last", ("'Ada'",), False)
    assert [column.type for column in tables["web.visits"].columns] == ["String", "Array(String)"]
    assert not any(column.primary_key for column in tables["customers"].columns)  # keys there are not unique


def test_queries_are_answered_and_names_checked(database):
    result = database.run("SELECT id, name, joined, 1.5 AS x FROM customers ORDER BY id")
    assert result.columns == ("id", "name", "joined", "x")
    assert result.rows == [(1, "Ada", "2024-02-29", 1.5), (2, None, "2020-01-01", 1.5)]
    assert database.run("SELECT name FROM customers LEFT JOIN web.visits ON page = name").ok
    assert database.run("SELECT name FROM Customers").reason.startswith("there is no table Customers")
    many = database.run("SELECT c.id FROM customers c, customers d, customers e", max_rows=3)
    assert (len(many.rows), many.truncated) == (3, True)


def test_the_session_only_reads_without_the_parse_tree_too(database):
    for sql in (
        "CREATE TABLE x (a Int32) ENGINE = Memory",
        "INSERT INTO customers (id) VALUES (3)",
        "ALTER TABLE customers DELETE WHERE 1",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM remote('127.0.0.1', 'system', 'one')",
        "SELECT 1 SETTINGS readonly = 0",
    ):
        reason = database.run_unchecked(sql).reason
        assert "readonly" in reason.lower(), (sql, reason)
    # A function that reads files is not stopped by the session: the list of functions does it.
    assert database.run_unchecked("SELECT length(file('/etc/hostname'))").ok
    assert "file is not on the list" in database.run("SELECT file('/etc/passwd') FROM customers").reason
    assert database.run("SELECT count(*) FROM customers").rows == [(2,)]


def test_a_query_stops_in_time(database):
    started = time.monotonic()
    reason = database.run_unchecked("SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1", timeout=1)
    assert reason.reason == "ran longer than 1 s"
    assert time.monotonic() - started < 6


def test_a_change_of_a_table_is_detected(database):
    before = change_stamps(database, database.schema)
    assert before["web.visits"] is None  # a table in memory tells no changes
    writes = {"session": [], "connect": {}, "attributes": {}}  # a request without the settings of a session
    limits = {"timeout": 5.0, "max_rows": 10, "max_bytes": 1000, "max_cell": 100}
    insert = {"runner": "server", "path": database.location, "sql": "INSERT INTO staff VALUES (3, 'Di', 1)"}
    database._child.ask({**insert, **writes, **limits})
    after = change_stamps(database, database.schema)
    assert {name for name in before if before[name] != after[name]} == {"staff"}


def test_the_engine_runs_the_forms_of_its_grammar(database):
    schema = schema_of("clickhouse")
    forms = [sql for sql in EVERYWHERE if not any(part in sql for part in NOT_EVERYWHERE["clickhouse"])]
    failed = {}
    for sql in [*forms, *FORMS["clickhouse"]]:
        assert check(sql, schema) == []
        if not (result := database.run(sql)).ok:
            failed[sql] = result.reason
    assert failed == {}


def test_the_engine_knows_the_functions_of_its_grammar(database):
    """It lists them, or tells a call with other types of arguments from one of a function that does not exist."""
    listed = {name.lower() for (name,) in database.run_unchecked("SELECT name FROM system.functions").rows}
    unlisted = [call for call in calls("clickhouse") if call.partition("(")[0].lower() not in listed]
    assert "lower" in listed
    unknown = [
        (call, reason)
        for call in unlisted
        if "Function with name" in (reason := database.run_unchecked(f"SELECT {call} FROM customers").reason)
        or "Unknown function" in reason
        or "unknown aggregate" in reason.lower()
    ]
    assert unknown == []
