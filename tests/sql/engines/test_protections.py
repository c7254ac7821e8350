"""Protections that depend on what an engine does, not on its name; and what is said where only the role protects."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.doctor import about_engine
from chaku.sql.engines.engine import Engine
from chaku.sql.engines.known import ENGINES
from chaku.sql.execute.check import check
from chaku.sql.execute.database import Database
from chaku.sql.execute.parse import Refused
from chaku.sql.execute.read_only import check_read_only
from chaku.sql.execute.runner import Result
from chaku.sql.schema.definition import Column, Schema, Table

TABLE = Table("t", (Column("a", "ROW(b INTEGER)"), Column("c", "INTEGER")))


@pytest.mark.parametrize("dialect", [dialect for dialect, engine in ENGINES.items() if engine.dots_call])
def test_a_dot_that_may_call_a_function_is_refused(dialect):
    with pytest.raises(Refused, match="may call a function"):
        check_read_only("SELECT (c).f FROM t", dialect)
    [problem] = check("SELECT x.f FROM (SELECT 1 AS c) AS x", Schema("d", (TABLE,), dialect))
    assert "has no column f" in problem.message


@pytest.mark.parametrize("dialect", ["duckdb", "trino", "bigquery", "clickhouse"])
def test_a_field_of_a_column_may_be_read_where_a_dot_reads_it(dialect):
    assert check("SELECT a.b FROM t", Schema("d", (TABLE,), dialect)) == []
    assert check("SELECT z.b FROM t", Schema("d", (TABLE,), dialect)) != []
    assert check("SELECT a.b FROM t", Schema("d", (TABLE,), "mysql")) != []


def test_duckdb_reads_a_whole_row_by_the_name_of_its_table(tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="needs the sql extra")
    with duckdb.connect(str(tmp_path / "d.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a, 'x' AS b")
    with Database(str(tmp_path / "d.duckdb")) as database:
        sql = "SELECT r FROM t AS r"
        assert check(sql, database.schema) == []
        assert json.loads(database.run(sql).rows[0][0]) == {"a": 1, "b": "x"}
    assert check(sql, Schema("d", (TABLE,), "mysql")) != []


@pytest.mark.parametrize("dialect", [d for d, e in ENGINES.items() if e.catalogue and e.catalogue.own_functions])
def test_nothing_runs_where_the_functions_of_users_cannot_be_read(dialect):
    """A function of a user may have the name of a function on the list."""
    database = Database.__new__(Database)  # no server is needed
    database.dialect, database.engine = dialect, ENGINES[dialect]
    cases = (
        (Result("failed", "permission denied"), "refused", "users cannot be read: permission denied"),
        (Result("ok", "", ("name",), [("lower",)]), "refused", "lower is a function of this database"),
        (Result("ok", "", ("name",)), "ok", ""),
    )
    for functions, status, reason in cases:
        database.__dict__.pop("_own_functions", None)

        def run(sql, functions=functions, **limits):
            return functions if sql == database.engine.catalogue.own_functions else Result("ok")

        database.run_unchecked = run
        result = database.run("SELECT lower('A')", schema=Schema("d", (TABLE,), dialect))
        assert result.status == status
        assert reason in result.reason


def test_a_user_is_told_where_only_the_role_protects_and_what_was_never_tried():
    assert {engine.title for engine in ENGINES.values() if engine.only_role} == {"SQL Server", "Snowflake", "Trino"}
    assert "Trino has no read-only session" in ENGINES["trino"].warning
    assert "no query of chaku has reached a server of Trino before" in ENGINES["trino"].warning
    assert ENGINES["oracle"].warning.startswith("no query of chaku has reached")
    assert ENGINES["postgres"].warning == ENGINES["sqlite"].warning == ""


@pytest.mark.parametrize(
    ("url", "version", "title"),
    [
        ("mysql://u@h/d", "10.11.6-MariaDB-0+deb12u1 Debian 12", "MariaDB"),
        ("mysql://u@h/d", "8.0.36 MySQL Community Server - GPL", "MySQL"),
        ("mariadb://u@h/d", "8.0.36-28 Percona Server (GPL)", "MySQL"),
        ("postgresql://u@h/d", "", "PostgreSQL"),
    ],
)
def test_a_server_itself_says_which_engine_it_is(url, version, title, monkeypatch):
    monkeypatch.setattr(Engine, "missing", [])
    monkeypatch.setattr(Database, "run_unchecked", lambda self, sql: Result("ok", "", ("v",), [(version,)]))
    with Database(url) as database:
        assert database.server.title == title
        assert bool(database.server.warning) == (title == "MySQL")


def test_doctor_names_the_extra_of_each_engine_whose_driver_is_missing(monkeypatch):
    lacking = replace(ENGINES["trino"], modules=("no_such_driver",))
    assert lacking.missing == ["no_such_driver"]
    monkeypatch.setattr(Engine, "missing", property(lambda self: ["trino"] if self.dialect == "trino" else []))
    said = [str(about_engine(engine)) for engine in ENGINES.values()]
    assert "optional Trino databases need trino: pip install 'chaku[trino]'" in said
    assert "ok       PostgreSQL databases can be asked; chaku was tried with PostgreSQL 15" in said
    assert "ok       MySQL databases can be asked; chaku was never tried against such a server" in said
