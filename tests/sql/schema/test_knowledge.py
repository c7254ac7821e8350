"""Values are kept between questions, and read again where they have changed."""

import json
import os
import sqlite3
import time
from contextlib import closing

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

import servers
from chaku.sql.execute.database import Database
from chaku.sql.schema import knowledge as module
from chaku.sql.schema.knowledge import Knowledge, cache_path
from shop_database import make_shop


@pytest.fixture
def reads(monkeypatch):
    """The tables whose values were read, in order."""
    read: list[str] = []
    original = Knowledge._read

    def noted(self, table, stamp, columns):
        read.append(table.name)
        return original(self, table, stamp, columns)

    def noted_together(self, tables, stamp):
        read.extend(table.name for table in tables)
        return together(self, tables, stamp)

    together = Knowledge._read_together
    monkeypatch.setattr(Knowledge, "_read", noted)
    monkeypatch.setattr(Knowledge, "_read_together", noted_together)
    return read


def found(known: Knowledge, question: str) -> list[str]:
    return [match.value for match in known.values.find(question)]


def test_a_second_command_reads_no_value_again_and_knows_as_much(tmp_path, reads):
    path, cache = str(make_shop(tmp_path / "shop.sqlite")), tmp_path / "cache" / "shop.json"
    with Database(path) as database:
        first = Knowledge(database, cache=cache)
        assert reads == ["customers", "products", "orders", "order_items"]
        reads.clear()
        second = Knowledge(database, cache=cache)
    assert reads == []
    assert second.schema == first.schema
    assert found(second, "orders from france") == found(first, "orders from france") == ["France"]
    assert cache.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_a_change_is_noticed_within_a_session_and_between_two(tmp_path, reads, journal):
    path, cache = make_shop(tmp_path / "shop.sqlite"), tmp_path / "shop.json"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer, Database(str(path)) as database:
        writer.execute(f"PRAGMA journal_mode = {journal}")
        known = Knowledge(database, cache=cache)
        reads.clear()
        known.refresh()
        assert reads == []
        writer.execute("UPDATE customers SET country = 'Norway' WHERE id = 2")
        known.refresh()
        assert found(known, "orders from norway") == ["Norway"]
        assert found(known, "orders from france") == []
        writer.execute("CREATE TABLE depots (town TEXT)")
        writer.execute("INSERT INTO depots VALUES ('Bergen')")
        again = Knowledge(database, cache=cache)
    assert found(again, "depots in bergen") == ["Bergen"]
    assert "depots" in [table.name for table in again.schema.tables]


def test_a_change_that_leaves_size_and_time_as_they_were_is_noticed(tmp_path):
    path = make_shop(tmp_path / "shop.sqlite")
    before = path.stat()
    with Database(str(path)) as database:
        known = Knowledge(database)
        with closing(sqlite3.connect(path)) as writer:
            writer.execute("UPDATE customers SET country = 'Israel' WHERE id = 2")
            writer.commit()
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_size == before.st_size
        known.refresh()
    assert found(known, "orders from israel") == ["Israel"]


# What a version that writes another form, or somebody's editor, may leave.
KEPT = '{{"version": 1, "tables": {{"a": {{"stamp": "1", "columns": [], "samples": {}, "distinct": {}}}}}}}'
BROKEN = ["", "{", "[]", '{"version": 0, "tables": {}}', '{"version": 1, "tables": {"a": {}}}']
BROKEN += [
    KEPT.format('{"a": 5}', "{}"),
    KEPT.format("[1]", "{}"),
    KEPT.format("{}", 7),
    KEPT.format("{}", '{"a": [1]}'),
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_cache_is_written_again(tmp_path, text, reads):
    path, cache = str(make_shop(tmp_path / "shop.sqlite")), tmp_path / "shop.json"
    cache.write_text(text)
    with Database(path) as database:
        known = Knowledge(database, cache=cache)
    assert found(known, "orders from france") == ["France"]
    assert set(json.loads(cache.read_text())["tables"]) == {"customers", "products", "orders", "order_items"}


def test_what_the_time_does_not_suffice_for_is_read_by_the_next_command(tmp_path, monkeypatch, capsys):
    path, cache = str(make_shop(tmp_path / "shop.sqlite")), tmp_path / "shop.json"
    with Database(path) as database:
        monkeypatch.setattr(module, "READ_SECONDS", 0)
        assert found(Knowledge(database, cache=cache), "orders from france") == []
        assert "reading values takes too long: 4 tables" in capsys.readouterr().err
        monkeypatch.undo()
        assert found(Knowledge(database, cache=cache), "orders from france") == ["France"]


def test_what_could_not_be_read_is_tried_again(tmp_path, monkeypatch):
    path, cache = str(make_shop(tmp_path / "shop.sqlite")), tmp_path / "shop.json"
    with Database(path) as database:
        monkeypatch.setattr(module, "distinct_in_one_query", lambda *arguments, **options: None)
        monkeypatch.setattr(module, "distinct_values", lambda *arguments, **options: None)
        assert found(Knowledge(database, cache=cache), "orders from france") == []
        monkeypatch.undo()
        assert found(Knowledge(database, cache=cache), "orders from france") == ["France"]


def test_the_cache_names_no_password(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = cache_path("shop", "postgresql://u:secret@h/shop")
    assert path.is_relative_to(tmp_path)
    assert "secret" not in str(path)


def test_duckdb(tmp_path, reads):
    duckdb = pytest.importorskip("duckdb", reason="needs the sql extra")
    path, cache = tmp_path / "shop.duckdb", tmp_path / "shop.json"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t (town TEXT)")
        connection.execute("INSERT INTO t VALUES ('Bergen')")
    with Database(str(path)) as database:
        first = Knowledge(database, cache=cache)
        again = Knowledge(database, cache=cache)
        assert reads == ["t"]
        assert again.schema == first.schema
        assert again.schema.tables[0].columns[0].values == ("'Bergen'",)
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE t SET town = 'Narvik'")
    with Database(str(path)) as database:
        assert found(Knowledge(database, cache=cache), "trips to narvik") == ["Narvik"]


def check_server(url: str, execute, cache, reads: list[str], *settled: str, seconds: float) -> None:
    """Two tables and a view of one: only what changed is read again."""
    for statement in (
        "CREATE TABLE towns (town VARCHAR(20))",
        "INSERT INTO towns VALUES ('Bergen')",
        "CREATE TABLE trees (tree VARCHAR(20))",
        "INSERT INTO trees VALUES ('Birch')",
        "CREATE VIEW seen AS SELECT tree FROM trees",
        *settled,
    ):
        execute(statement)
    time.sleep(seconds)
    with Database(url) as database:
        Knowledge(database, cache=cache)
        assert sorted(reads) == ["seen", "towns", "trees"]
        reads.clear()
        known = Knowledge(database, cache=cache)
        assert reads == []
        assert found(known, "trips to bergen") == ["Bergen"]
        execute("UPDATE towns SET town = 'Narvik'")
        deadline = time.monotonic() + 20
        while found(known, "trips to narvik") != ["Narvik"]:  # statistics come a little later
            assert time.monotonic() < deadline
            time.sleep(0.2)
            known.refresh()
    assert "trees" not in reads
    assert {"towns", "seen"} <= set(reads)


def test_postgresql(tmp_path, reads):
    psycopg = pytest.importorskip("psycopg", reason="needs the sql extra")
    if servers.postgres_programs() is None:
        pytest.skip("needs a server: apt install postgresql")
    with servers.postgres() as url, psycopg.connect(url, autocommit=True) as owner:
        flush = "SELECT pg_stat_force_next_flush()"
        check_server(url, owner.execute, tmp_path / "cache.json", reads, flush, "SELECT 1", seconds=1)


def test_mariadb(tmp_path, reads):
    pymysql = pytest.importorskip("pymysql", reason="needs the sql extra")
    if servers.mysql_program() is None:
        pytest.skip("needs a server: apt install mariadb-server")
    with servers.mysql() as url:
        owner = pymysql.connect(unix_socket=url.split("=")[1], user="root", autocommit=True)
        with owner.cursor() as cursor:
            cursor.execute("CREATE DATABASE test")
            cursor.execute("USE test")
            check_server(url, cursor.execute, tmp_path / "cache.json", reads, seconds=4)
        owner.close()
