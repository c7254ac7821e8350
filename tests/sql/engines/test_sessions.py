"""What a driver gets: the statements of the session before the query, its limits, and a closed connection after it."""

import pytest

from chaku.sql.engines.known import ENGINES
from chaku.sql.execute import query_process, query_servers
from chaku.sql.execute.cost import too_costly
from chaku.sql.execute.runner import Result


class Cursor:
    def __init__(self, connection):
        self.connection, self.description = connection, None

    def close(self): ...

    def execute(self, sql, **options):
        self.connection.got.append(sql)
        if sql.startswith("SELECT"):
            if self.connection.error:
                raise self.connection.error
            self.description, self.rows = [("a",)], [(1,), (2,), (3,)]

    def fetchmany(self, size):
        part, self.rows = self.rows[:2], self.rows[2:]
        return part


class Connection:
    """A DB-API connection that keeps what it gets."""

    def __init__(self, error=None):
        self.got, self.closed, self.error = [], False, error

    def cursor(self):
        return Cursor(self)

    def close(self):
        self.closed = True


def ask(monkeypatch, dialect, error=None, timeout=2.5):
    connection, settings = Connection(error), ENGINES[dialect].settings(timeout, 100)
    given = {}
    monkeypatch.setattr(query_servers, "_connect", lambda request: given.update(request["connect"]) or connection)
    request = {"sql": "SELECT a FROM t", "timeout": timeout, "max_rows": 100, "max_bytes": 10**6}
    reply = query_servers.ask(
        {**request, "max_cell": 100, **settings}, query_process._collect, query_process._failed, query_process._message
    )
    assert connection.closed
    return connection, given, reply


EXPECTED = {
    "tsql": (
        ["SET LOCK_TIMEOUT 2500", "SET QUOTED_IDENTIFIER ON", "SET ANSI_NULLS ON"],
        {"timeout": 3, "autocommit": False},
    ),
    "snowflake": (
        [],
        {"session_parameters": {"STATEMENT_TIMEOUT_IN_SECONDS": 3, "QUERY_TAG": "chaku"}, "autocommit": False},
    ),
    "trino": ([], {"session_properties": {"query_max_execution_time": "3s"}}),
    "redshift": (["SET statement_timeout TO 2500", "BEGIN READ ONLY"], {}),
    "oracle": (["SET TRANSACTION READ ONLY"], {}),
    "clickhouse": ([], {"ch_readonly": 1, "ch_max_execution_time": 3, "ch_max_result_rows": 101}),
}  # fmt: skip


@pytest.mark.parametrize("dialect", EXPECTED)
def test_the_session_is_set_up_before_the_query(dialect, monkeypatch):
    statements, settings = EXPECTED[dialect]
    connection, given, reply = ask(monkeypatch, dialect)
    assert connection.got == [*statements, "SELECT a FROM t"]
    assert {name: given[name] for name in settings} == settings
    assert (reply["status"], reply["columns"], reply["rows"]) == ("ok", ["a"], [[1], [2], [3]])


def test_attributes_of_the_connection_are_set(monkeypatch):
    assert ask(monkeypatch, "oracle")[0].call_timeout == 2500
    assert ask(monkeypatch, "redshift")[0].autocommit is True


@pytest.mark.parametrize(
    "message",
    [
        "canceling statement due to statement timeout",
        "Query execution was interrupted (max_statement_time exceeded)",
        "Timeout exceeded: elapsed 2 ms (TIMEOUT_EXCEEDED)",
        "DPY-4024: call timeout of 2500 ms exceeded",
        "Statement reached its statement or warehouse timeout of 3 second(s) and was canceled.",
        "Query exceeded the maximum execution time limit of 3.00s",
    ],
)
def test_every_servers_time_limit_reads_the_same(message, monkeypatch):
    assert ask(monkeypatch, "oracle", RuntimeError(message))[2]["reason"] == "ran longer than 2.5 s"


def test_a_connection_that_the_server_ended_is_no_wrong_query(monkeypatch):
    def lose(self, sql, **options):
        self.connection.closed = True  # as psycopg says it
        raise RuntimeError("server closed the connection unexpectedly")

    monkeypatch.setattr(Cursor, "execute", lose)
    reply = ask(monkeypatch, "postgres")[2]
    assert reply["status"] == "away"
    assert reply["reason"].startswith("the server ended the connection in the middle of a query: server closed")


def test_a_server_that_cannot_be_reached_is_no_wrong_query(monkeypatch):
    def refuse(request):
        raise RuntimeError("connection refused")

    monkeypatch.setattr(query_servers, "_connect", refuse)
    reply = query_servers.ask({}, query_process._collect, query_process._failed, query_process._message)
    assert (reply["status"], reply["reason"]) == ("away", "connection refused")


def test_the_servers_message_is_the_reason(monkeypatch):
    error = RuntimeError(207, b"Invalid column name 'x'.DB-Lib error message 20018, severity 16:\nGeneral error")
    assert ask(monkeypatch, "tsql", error)[2]["reason"] == "Invalid column name 'x'."
    error = RuntimeError("Received ClickHouse exception, code: 47, DB::Exception: Unknown x (for url http://h)")
    assert ask(monkeypatch, "clickhouse", error)[2]["reason"] == "Unknown x"


URLS = {
    "pymssql": ("mssql+pymssql://reader:x@db:1433/shop", {"database": "shop", "user": "reader"}),
    "oracledb": ("oracle+oracledb://reader:x@db:1521/?service_name=shop", {"user": "reader"}),
    "trino": ("trino://reader@db:8080/shop/public", {"catalog": "shop", "schema": "public", "user": "reader"}),
    "snowflake.sqlalchemy": ("snowflake://reader:x@account/SHOP/PUBLIC", {"database": "SHOP", "schema": "PUBLIC"}),
    "sqlalchemy_redshift": ("redshift+redshift_connector://reader:x@db:5439/shop", {"database": "shop"}),
    "clickhouse_connect": ("clickhousedb://reader:x@db:8123/shop", {"database": "shop", "username": "reader"}),
}  # fmt: skip


@pytest.mark.parametrize("module", URLS)
def test_the_driver_understands_the_url(module):
    pytest.importorskip(module, reason="NOT TESTED: the driver's reading of a URL, as it is not installed")
    url, expected = URLS[module]
    _, _, settings = query_servers._dialect(url)
    assert {name: settings[name] for name in expected} == expected


class Job:
    """The job of a dry run, as BigQuery answers it."""

    def __init__(self, statement_type, total_bytes_processed):
        self.statement_type, self.total_bytes_processed = statement_type, total_bytes_processed


class Client:
    """BigQuery's client, which keeps what it gets."""

    def __init__(self, job):
        self.got, self.job = [], job

    def query(self, sql, job_config):
        self.got.append((sql, job_config))
        return self.job


def ask_bigquery(monkeypatch, job, **more):
    connection, client = Connection(), Client(job)
    connection._client = client
    monkeypatch.setattr(query_servers, "_connect", lambda request: connection)
    monkeypatch.setattr(query_servers, "_bigquery_job", lambda **settings: settings)
    monkeypatch.setattr(Cursor, "execute", lambda self, sql, job_config: Cursor.plain(self, sql))
    request = {"sql": "SELECT a FROM t", "timeout": 2.5, "max_rows": 100, "max_bytes": 10**6}
    reply = query_servers.ask(
        {**request, "max_cell": 100, **ENGINES["bigquery"].settings(2.5, 100), **more},
        query_process._collect, query_process._failed, query_process._message,
    )  # fmt: skip
    return connection.got, client.got, reply


Cursor.plain = Cursor.execute


def test_bigquery_itself_must_call_a_statement_a_select_before_it_runs(monkeypatch):
    ran, dry, reply = ask_bigquery(monkeypatch, Job("SELECT", 10))
    assert dry == [("SELECT a FROM t", {"dry_run": True, "use_query_cache": False})]
    assert ran == ["SELECT a FROM t"]
    assert reply["rows"] == [[1], [2], [3]]
    ran, _, reply = ask_bigquery(monkeypatch, Job("SCRIPT", 10))
    assert (ran, reply["status"], reply["reason"]) == ([], "refused", "not allowed: BigQuery reads it as SCRIPT")


def test_bigquerys_dry_run_estimates_the_bytes_and_runs_nothing(monkeypatch):
    ran, dry, reply = ask_bigquery(monkeypatch, Job("SELECT", 5_000_000), explain=True)
    assert (ran, len(dry)) == ([], 1)
    explained = Result("ok", "", tuple(reply["columns"]), [tuple(row) for row in reply["rows"]])
    refusal = too_costly("SELECT a FROM t", "bigquery", 1_000_000, lambda sql: explained)
    assert "the server estimates a cost of 5,000,000, and --max-cost allows 1,000,000" in refusal.reason
    assert too_costly("SELECT a FROM t", "bigquery", 5_000_000, lambda sql: explained) is None
