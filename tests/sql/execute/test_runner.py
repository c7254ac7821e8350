import errno
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from chaku.errors import ChakuError
from chaku.sql.execute import query_process
from chaku.sql.execute.runner import PROGRAM, SQLiteRunner

TIMEOUT = 0.3


@pytest.fixture(scope="module")
def runner():
    with SQLiteRunner() as runner:
        yield runner


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "some shop?.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price REAL, image BLOB)")
        connection.execute("CREATE INDEX by_name ON items (name)")
        connection.executemany(
            "INSERT INTO items VALUES (?, ?, ?, ?)", [(n, f"item {n}", n / 2, b"\x00\xff") for n in range(300)]
        )
        connection.execute("INSERT INTO items (name) VALUES (CAST(x'61ff62' AS TEXT))")
    connection.close()
    return path


def test_a_query_returns_its_columns_and_rows(runner, database):
    result = runner.run(database, "SELECT id, name, price, image, NULL AS empty FROM items WHERE id = 3;")
    assert (result.status, result.reason, result.truncated) == ("ok", "", False)
    assert result.columns == ("id", "name", "price", "image", "empty")
    assert result.rows == [(3, "item 3", 1.5, b"\x00\xff", None)]


def test_text_that_is_not_utf_8_is_read_as_the_official_evaluator_reads_it(runner, database):
    assert runner.run(database, "SELECT name FROM items ORDER BY id DESC LIMIT 1").rows == [("ab",)]


def test_infinity_and_large_integers_come_through(runner, database):
    result = runner.run(database, "SELECT 9e999, -9e999, 9223372036854775807")
    assert result.rows == [(float("inf"), float("-inf"), 9223372036854775807)]


CHANGES = {
    "DROP TABLE items": "not allowed",
    "INSERT INTO items (name) VALUES ('x')": "not allowed: INSERT",
    "UPDATE items SET name = 'x' RETURNING id": "not allowed: UPDATE",
    "DELETE FROM items": "not allowed: DELETE",
    "WITH d AS (SELECT 1) DELETE FROM items": "not allowed: DELETE",
    "REPLACE INTO items (id) VALUES (1)": "not allowed",
    "CREATE TABLE t (a)": "not allowed",
    "CREATE TEMP TABLE t AS SELECT 1": "not allowed",
    "CREATE VIEW v AS SELECT 1": "not allowed",
    "ALTER TABLE items RENAME TO x": "not allowed",
    "ATTACH '{outside}' AS x": "not allowed: ATTACH",
    "DETACH main": "not allowed: DETACH",
    "PRAGMA writable_schema = 1": "not allowed: PRAGMA",
    "PRAGMA query_only = 0": "not allowed: PRAGMA",
    "PRAGMA table_info(items)": "not allowed: PRAGMA",
    "VACUUM": "not allowed",
    "VACUUM INTO '{outside}'": "not allowed",
    "REINDEX": "not allowed",
    "ANALYZE": "not allowed",
    "BEGIN": "not allowed: TRANSACTION",
    "COMMIT": "not allowed: TRANSACTION",
    "SAVEPOINT a": "not allowed: SAVEPOINT",
    "SELECT 1; DROP TABLE items": "one statement at a time",
    "SELECT load_extension('{outside}')": "not allowed: the function load_extension",
    "SELECT writefile('{outside}', 'x')": "",
    "SELECT readfile('/etc/passwd')": "",
    "SELECT fts3_tokenizer('simple')": "",
    "SELECT * FROM sqlite_master": "not allowed: reading sqlite_master",
    "SELECT name FROM sqlite_schema": "not allowed: reading sqlite_",
    "SELECT * FROM pragma_table_info('items')": "not allowed",
    "SELECT * FROM pragma_database_list": "not allowed",
    "SELECT sqlite_version()": "not allowed: the function sqlite_version",
    "": "is not a query",
    "-- nothing": "is not a query",
    "SELECT * FROM missing": "no such table: missing",
    "SELEC 1": "syntax error",
}


@pytest.mark.parametrize("statement", CHANGES)
def test_a_statement_that_changes_or_looks_elsewhere_fails_and_changes_nothing(runner, database, statement):
    before, outside = database.read_bytes(), database.parent / "outside"
    result = runner.run(database, statement.format(outside=outside), timeout=TIMEOUT)
    assert not result.ok
    assert CHANGES[statement] in result.reason
    assert result.rows == []
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.iterdir()] == [database.name]


BOMBS = [
    "SELECT count(*) FROM items a, items b, items c, items d",
    "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT count(*) FROM r",
    "WITH RECURSIVE r(x) AS (SELECT 'x' UNION ALL SELECT x || x FROM r) SELECT max(length(x)) FROM r",
    "SELECT length(printf('%.*c', 900000000, 'x'))",
    "SELECT zeroblob(1000000000)",
    "SELECT hex(zeroblob(500000000))",
    "SELECT group_concat(a.name) FROM items a, items b, items c",
    "SELECT replace(printf('%.*c', 15000000, 'x'), 'x', 'xxxxxxxxxx')",
    "SELECT a.id FROM items a, items b, items c ORDER BY a.name || b.name || c.name",
    "SELECT randomblob(1000000000)",
]


@pytest.mark.parametrize("statement", BOMBS)
def test_a_bomb_ends_within_its_time_and_the_next_query_runs(runner, database, statement):
    started = time.monotonic()
    result = runner.run(database, statement, timeout=TIMEOUT)
    assert not result.ok
    assert time.monotonic() - started < TIMEOUT + 3  # the child's grace, and a busy machine
    assert runner.run(database, "SELECT 1").rows == [(1,)]


def test_rows_cells_and_bytes_are_capped_and_that_is_said(runner, database):
    endless = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT x, 'abcdefgh' FROM r"
    rows = runner.run(database, endless, max_rows=10)
    assert (rows.ok, len(rows.rows), rows.truncated) == (True, 10, True)
    size = runner.run(database, endless, max_bytes=1000)
    assert (size.ok, size.truncated) == (True, True)
    assert len(size.rows) * 16 <= 1000
    cell = runner.run(database, "SELECT printf('%.*c', 5000, 'x')", max_cell=100)
    assert (cell.truncated, len(cell.rows[0][0])) == (True, 100)
    exact = runner.run(database, "SELECT id FROM items LIMIT 10", max_rows=10)
    assert (len(exact.rows), exact.truncated) == (10, False)


def test_a_child_that_was_killed_does_not_fail_the_next_query(runner, database):
    runner.run(database, "SELECT 1")
    [child] = runner._children.queue
    child._process.kill()
    child._process.wait()
    assert runner.run(database, "SELECT 2").rows == [(2,)]


def test_another_thread_ends_a_query_and_the_next_one_runs(runner, database):
    endless = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    runner.interrupt()  # no query runs
    assert runner.run(database, "SELECT 1").rows == [(1,)]
    timer = threading.Timer(0.3, runner.interrupt)
    timer.start()
    result = runner.run(database, endless, timeout=60)
    assert (result.status, result.seconds < 30) == ("failed", True)
    assert runner.run(database, "SELECT 1").rows == [(1,)]


def test_the_child_may_neither_write_a_file_nor_take_more_memory_than_its_limit(runner, database):
    runner.run(database, "SELECT 1")
    [child] = runner._children.queue
    limits = Path(f"/proc/{child._process.pid}/limits")
    if not limits.exists():
        pytest.skip("needs /proc")
    lines = {line[:26].strip(): line[26:].split() for line in limits.read_text().splitlines()}
    assert lines["Max file size"][:2] == ["0", "0"]
    assert lines["Max address space"][0] == str(1 << 30)
    assert lines["Max core file size"][0] == "0"
    assert lines["Max cpu time"][0] != "unlimited"


def test_a_database_in_wal_mode_is_read_where_nothing_may_be_written(runner, tmp_path):
    path = tmp_path / "wal.sqlite"
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE t (a)")
    writer.execute("INSERT INTO t VALUES (1)")
    writer.commit()
    assert runner.run(path, "SELECT a FROM t").rows == [(1,)], "while another process has it open"
    writer.close()
    assert runner.run(path, "SELECT a FROM t").rows == [(1,)]
    assert [file.name for file in tmp_path.iterdir()] == ["wal.sqlite"]


def test_a_database_in_wal_mode_is_read_where_another_reader_made_its_files(runner, tmp_path):
    path = tmp_path / "wal.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE t (a)")
        writer.execute("INSERT INTO t VALUES (1)")
        writer.execute("PRAGMA journal_mode = WAL")
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
            assert reader.execute("SELECT a FROM t").fetchall() == [(1,)]
        assert runner.run(path, "SELECT a FROM t").rows == [(1,)]
        writer.execute("UPDATE t SET a = 2")
        assert runner.run(path, "SELECT a FROM t").rows == [(2,)]


def test_many_queries_run_on_several_processes_in_order(database):
    with SQLiteRunner(2) as runner:
        jobs = [(database, f"SELECT {n}") for n in range(50)]
        jobs[7] = (database, "DROP TABLE items")
        seen = []
        results = runner.run_many(jobs, done=lambda: seen.append(1), timeout=TIMEOUT)
    assert [result.rows for result in results if result.ok] == [[(n,)] for n in range(50) if n != 7]
    assert not results[7].ok
    assert len(seen) == 50


def test_a_missing_file_is_named_and_a_file_of_another_kind_fails(runner, tmp_path):
    with pytest.raises(ChakuError, match="absent"):
        runner.run(tmp_path / "absent.sqlite", "SELECT 1")
    (tmp_path / "text.sqlite").write_text("this is no database, however long it may be" * 40)
    assert "not a database" in runner.run(tmp_path / "text.sqlite", "SELECT * FROM t").reason


WRITES = ["DROP TABLE items", "DELETE FROM items", "INSERT INTO items (name) VALUES ('x')", "CREATE TABLE t (a)"]


@pytest.mark.parametrize("statement", WRITES)
def test_each_layer_of_sqlite_alone_stops_a_write(database, statement):
    before = database.read_bytes()
    opened, readonly = query_process.open_sqlite(str(database)), "readonly database"
    with closing(opened) as read_only, pytest.raises(sqlite3.OperationalError, match=readonly):
        read_only.execute(statement)
    with closing(sqlite3.connect(database, isolation_level=None)) as writable:
        writable.execute("PRAGMA query_only = 1")
        with pytest.raises(sqlite3.OperationalError, match=readonly):
            writable.execute(statement)
    with closing(sqlite3.connect(database, isolation_level=None)) as writable:
        refusals = []
        writable.set_authorizer(lambda *action: query_process._authorize(refusals, set(), *action))
        with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
            writable.execute(statement)
        assert refusals
    assert database.read_bytes() == before


def test_the_childs_limits_alone_keep_it_from_writing_a_file_and_from_taking_all_memory(tmp_path):
    program = (
        "import runpy, sys; module = runpy.run_path(sys.argv[1]); module['_limit'](1 << 29)\n"
        "try:\n    file = open(sys.argv[2], 'w'); file.write('x'); file.close()\n"
        "except OSError as error: print('write:', error.errno)\n"
        "try: bytes(1 << 30)\nexcept MemoryError: print('memory')\n"
    )
    command = [sys.executable, "-I", "-c", program, str(PROGRAM), str(tmp_path / "outside")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["write:", str(errno.EFBIG), "memory"]
    assert not (tmp_path / "outside").exists() or (tmp_path / "outside").read_bytes() == b""
