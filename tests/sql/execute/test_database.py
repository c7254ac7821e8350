"""The engines for real: each layer alone, and all of them together."""

import re
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

import servers
from chaku.errors import ChakuError
from chaku.sql.answer.hidden_rows import hidden_tables
from chaku.sql.answer.sentence import sentence
from chaku.sql.execute.database import Database, parse_url
from chaku.sql.execute.runner import Result
from chaku.sql.schema.introspect import introspect

TIMEOUT = 0.5


def test_urls_and_paths_name_their_engine(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"\0" * 8 + b"DUCK" + b"\0" * 8)
    assert parse_url("sqlite:///a/b.sqlite") == ("sqlite", "a/b.sqlite")
    assert parse_url("sqlite:////a/b%20c.sqlite") == ("sqlite", "/a/b c.sqlite")
    (tmp_path / "b.bin").write_bytes(b"SQLite format 3")
    assert parse_url(str(tmp_path / "b.bin"))[0] == "sqlite"
    assert parse_url("duckdb:///x.duckdb") == ("duckdb", "x.duckdb")
    assert parse_url(str(tmp_path / "a.bin"))[0] == "duckdb"
    assert parse_url("postgres://u@h/d") == ("postgres", "postgresql+psycopg://u@h/d")
    assert parse_url("mysql+mysqldb://u@h/d") == ("mysql", "mysql+pymysql://u@h/d")
    with pytest.raises(ChakuError, match="chaku cannot open db2:// databases"):
        parse_url("db2://u@h/d")
    with pytest.raises(ChakuError, match="does not exist"):
        parse_url("no such database")


def test_sqlite_by_its_url(tmp_path):
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    with Database(f"sqlite:///{path}") as database:
        assert (database.dialect, database.name) == ("sqlite", "shop")
        assert database.run("SELECT count(*) FROM t").rows == [(0,)]
        assert not database.run("DROP TABLE t").ok


def test_a_missing_driver_is_named_with_what_installs_it(tmp_path, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "psycopg" else found(name))
    with pytest.raises(ChakuError, match=r"need psycopg: pip install 'chaku\[sql\]'"):
        Database("postgresql://u@h/d")


def refused_in_time(run, statement: str) -> str:
    started = time.monotonic()
    result = run(statement, timeout=TIMEOUT)
    assert not result.ok, statement
    assert time.monotonic() - started < TIMEOUT + 5, statement
    return result.reason


def described(database, *names):
    """The tables of a schema as plain tuples."""
    schema = introspect(database, num_values=2)
    assert schema.dialect == database.dialect
    return {
        table.name: (
            table.comment,
            [(c.name, c.comment, c.values, c.primary_key, c.not_null) for c in table.columns],
            [(key.columns, key.table, key.references) for key in table.foreign_keys],
        )
        for table in schema.tables
        if table.name in names
    }


BUYERS = {
    "Buyers": (
        "who buy",
        [("id", "", ("1", "2"), True, True), ("full name", "first and last", ("'Ada'", "'O''Brien'"), False, False)],
        [],
    ),
    "sales": (
        "",
        [("buyer", "", ("1",), False, False), ("day", "", ("'2024-02-29'",), False, False)],
        [(("buyer",), "Buyers", ("id",))],
    ),
}


@pytest.fixture(scope="module")
def duck(tmp_path_factory):
    duckdb = pytest.importorskip("duckdb", reason="needs the sql extra")
    path = tmp_path_factory.mktemp("duck") / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS a, 'x' || range AS b FROM range(2000)")
        connection.execute("""CREATE TABLE "Buyers" (id INTEGER PRIMARY KEY, "full name" VARCHAR)""")
        connection.execute("""CREATE TABLE sales (buyer INTEGER REFERENCES "Buyers" (id), day DATE)""")
        connection.execute("""COMMENT ON TABLE "Buyers" IS 'who buy'""")
        connection.execute("""COMMENT ON COLUMN "Buyers"."full name" IS 'first and last'""")
        connection.execute("""INSERT INTO "Buyers" VALUES (1, 'Ada'), (2, 'O''Brien'), (3, 'Ada')""")
        connection.execute("""INSERT INTO sales VALUES (1, '2024-02-29')""")
    with Database(str(path)) as database:
        yield database, path


def test_duckdb_is_introspected(duck):
    assert described(duck[0], "Buyers", "sales") == BUYERS


def test_duckdb_answers_queries(duck):
    database, _ = duck
    result = database.run("SELECT a, b, a / 4.0::DECIMAL(4, 1) AS c, DATE '2024-02-29' AS d FROM t ORDER BY a LIMIT 2")
    assert result.columns == ("a", "b", "c", "d")
    assert result.rows[1] == (1, "x1", 0.25, "2024-02-29")
    many = database.run("SELECT a FROM t", max_rows=5)
    assert (len(many.rows), many.truncated) == (5, True)
    assert "Table with name missing does not exist" in database.run("SELECT * FROM missing").reason


def test_duckdb_tells_types_other_schemas_and_what_is_nested(duck, tmp_path):
    import duckdb

    path = tmp_path / "other.duckdb"
    with duckdb.connect(str(path)) as connection:
        for statement in (
            "CREATE TABLE t (m ENUM('sad', 'ok'), n INTEGER[], s STRUCT(a INT, b VARCHAR), k MAP(VARCHAR, INTEGER))",
            "INSERT INTO t VALUES ('ok', [1, NULL], {'a': 1, 'b': 'x'}, MAP {'y': 2})",
            "CREATE SCHEMA shop",
            "CREATE TABLE shop.items (id INTEGER PRIMARY KEY)",
            "CREATE TABLE shop.t (item INTEGER REFERENCES shop.items (id))",
            "INSERT INTO shop.items VALUES (7)",
            "CREATE TABLE gone (a INTEGER)",
            "CREATE VIEW stale AS SELECT a FROM gone",
            "DROP TABLE gone",
        ):
            connection.execute(statement)
    with Database(str(path)) as database:
        schema = introspect(database)
        tables = {table.name: table for table in schema.tables}
        assert [column.type for column in tables["t"].columns] == [
            "ENUM('sad', 'ok')", "INTEGER[]", "STRUCT(a INTEGER, b VARCHAR)", "MAP(VARCHAR, INTEGER)",
        ]  # fmt: skip
        assert {"t", "shop.items", "shop.t"} <= set(tables)
        assert tables["shop.items"].columns[0].values == ("7",)
        assert tables["shop.t"].foreign_keys[0].table == "shop.items"
        assert database.run("SELECT * FROM t").rows == [("ok", "[1, null]", '{"a": 1, "b": "x"}', '{"y": 2}')]
        query = "SELECT items.id, s.a, main.t.s.b FROM shop.items, t"
        assert database.run(query, schema=schema).rows == [(7, 1, "x")]


DUCKDB_CHANGES = [
    "DROP TABLE t",
    "INSERT INTO t VALUES (1, 'x')",
    "CREATE TEMP TABLE z (a INT)",
    "COPY t TO '{outside}'",
    "ATTACH '{outside}'",
    "EXPORT DATABASE '{outside}'",
    "SET threads = 4",
    "SET enable_external_access = true",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM glob('/*')",
    "SELECT 1; DROP TABLE t",
    "PRAGMA database_list",
    "CHECKPOINT",
    "CALL pragma_version()",
    "SELECT count(*) FROM range(100000000) a, range(100000) b",
    "SELECT length(repeat('x', 900000000))",
    "SELECT list(a.range) FROM range(100000000) a, range(1000) b",
    "SELECT getenv('HOME')",
]


@pytest.mark.parametrize("statement", DUCKDB_CHANGES)
def test_duckdb_changes_nothing_and_stops_in_time_with_and_without_the_parse_tree(duck, statement):
    database, path = duck
    before = path.read_bytes()
    for run in (database.run, database.run_unchecked):
        refused_in_time(run, statement.format(outside=path.parent / "outside"))
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert database.run("SELECT count(*) FROM t").rows == [(2000,)]


DUCKDBS_OWN = [
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM pragma_table_info('t')",
    "SELECT * FROM pragma_storage_info('t')",
    "SELECT * FROM pragma_database_size()",
    "SELECT * FROM pragma_version()",
    "SELECT * FROM pragma_platform()",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM duckdb_tables",
]


@pytest.mark.parametrize("statement", DUCKDBS_OWN)
def test_what_duckdb_says_of_itself_is_not_asked_for(duck, statement):
    assert "not allowed" in duck[0].run(statement).reason


@pytest.mark.parametrize(
    "statement", ["SELECT length(repeat(repeat('x', 1000000), 1500))", "SELECT list_sum(range(300000000))"]
)
def test_what_duckdb_does_not_count_is_limited_too(duck, statement):
    result = duck[0].run_unchecked(statement, timeout=30)
    assert (result.status, result.reason) == ("failed", "needed more memory than a query may have")


OUTSIDE = [
    "SELECT * FROM read_text('/etc/passwd')",
    "COPY t TO '{outside}'",
    "ATTACH '{outside}'",
    "INSTALL httpfs",
    "SET enable_external_access = true",
    "INSERT INTO t VALUES (1, 'x')",
]


@pytest.mark.parametrize("statement", OUTSIDE)
def test_duckdbs_own_settings_alone_stop_what_changes_or_looks_outside(duck, statement):
    import duckdb

    from chaku.sql.execute.query_process import DUCKDB_CONFIG

    _, path = duck
    with duckdb.connect(str(path), read_only=True, config=DUCKDB_CONFIG) as connection, pytest.raises(duckdb.Error):
        connection.execute(statement.format(outside=path.parent / "outside"))
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.fixture(scope="module")
def postgres():
    psycopg = pytest.importorskip("psycopg", reason="needs the sql extra")
    if servers.postgres_programs() is None:
        pytest.skip("NOT TESTED: PostgreSQL's safety, as no server is installed: apt install postgresql")
    with servers.postgres() as url, psycopg.connect(url, autocommit=True) as owner, Database(url) as database:
        owner.execute("CREATE TABLE t AS SELECT i AS a, 'x' || i AS b, i / 4.0 AS c FROM generate_series(1, 2000) i")
        owner.execute("CREATE SEQUENCE s")
        owner.execute("""CREATE TABLE "Buyers" (id INTEGER PRIMARY KEY, "full name" text)""")
        owner.execute("""CREATE TABLE sales (buyer INTEGER REFERENCES "Buyers" (id), day DATE)""")
        owner.execute("""COMMENT ON TABLE "Buyers" IS 'who buy'""")
        owner.execute("""COMMENT ON COLUMN "Buyers"."full name" IS 'first and last'""")
        owner.execute("""INSERT INTO "Buyers" VALUES (1, 'Ada'), (2, 'O''Brien'), (3, 'Ada')""")
        owner.execute("""INSERT INTO sales VALUES (1, '2024-02-29')""")
        owner.execute("CREATE FUNCTION evil() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM t; RETURN 1; END'")
        yield database, owner


def test_postgres_answers_queries(postgres):
    database, _ = postgres
    assert (database.dialect, database.name) == ("postgres", "postgres")
    result = database.run("SELECT a, b, c, DATE '2024-02-29' AS d, ARRAY[1, 2] AS e FROM t ORDER BY a LIMIT 1")
    assert result.columns == ("a", "b", "c", "d", "e")
    assert [str(cell) for cell in result.rows[0]] == ["1", "x1", "0.25000000000000000000", "2024-02-29", "[1, 2]"]
    assert database.run("SELECT a AS empty FROM t WHERE a < 0").columns == ("empty",)
    many = database.run("SELECT a, b || '%s' FROM t", max_rows=5)
    assert (len(many.rows), many.truncated) == (5, True)
    assert "missing" in database.run("SELECT missing FROM t").reason


def test_postgres_runs_no_query_that_it_estimates_to_cost_more_than_the_limit(postgres):
    database, _ = postgres
    refused = database.run("SELECT count(*) FROM t AS x, t AS y", max_cost=1000)
    assert refused.status == "refused"
    assert re.match("not run: the server estimates a cost of [0-9,]+, and --max-cost allows 1,000", refused.reason)
    assert database.run("SELECT a FROM t ORDER BY a LIMIT 1", max_cost=1000).rows == [(1,)]
    assert "division by zero" in database.run("SELECT a / 0 FROM t", max_cost=1000).reason


def test_postgres_hints_are_part_of_the_message(postgres):
    reason = postgres[0].run("SELECT b + 1 FROM t").reason
    assert reason.startswith("operator does not exist: text + integer; HINT: No operator matches the given name")
    assert "LINE" not in reason


def test_postgres_is_introspected(postgres):
    assert described(postgres[0], "Buyers", "sales") == BUYERS


LEAKS = [
    "CREATE FUNCTION {name}(t) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'LEAKED'; END $$",
    "CREATE FUNCTION {name}(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'LEAKED'; END $$",
]


@pytest.fixture(scope="module")
def leaking(postgres):
    """Functions of the user's own, some called like PostgreSQL's, that say LEAKED where they run."""
    database, owner = postgres
    owner.execute("CREATE SCHEMA own")
    for name in ("leak", "lower", "public.substring", "own.lower", "own.unnest"):
        for leak in LEAKS:
            owner.execute(leak.format(name=name))
    owner.execute("CREATE FUNCTION leak(anyarray) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'LEAKED'; END $$")
    return database, owner


# PostgreSQL itself runs a function of the user's own, or reads a file, in each.
OWN_FUNCTIONS = [
    "SELECT t.leak FROM t",
    "SELECT x.leak FROM t AS x",
    "SELECT (x).leak FROM t AS x",
    "SELECT lower(t) FROM t",
    "SELECT substring(t) FROM t",
    "SELECT own.lower(b) FROM t",
    "SELECT own.lower('x') FROM t",
    "SELECT a FROM t WHERE t.leak = 'x'",
    "SELECT a FROM t ORDER BY t.leak",
    "SELECT sum(a) FILTER (WHERE t.leak = 'x') FROM t",
    "SELECT count(*) FROM t AS x JOIN t AS y ON x.leak = y.leak",
    "SELECT (b).leak FROM t",
    "SELECT ('x').leak",
    "SELECT ('/etc/hostname'::text).pg_read_file",
    "SELECT (ARRAY['/etc/hostname'])[1].pg_read_file",
    "SELECT f.pg_read_file FROM unnest(ARRAY['/etc/hostname']) AS f",
    "SELECT f.leak FROM t, LATERAL unnest(ARRAY[b]) AS f",
    "SELECT f.leak FROM own.unnest('x') AS f",
    "SELECT (SELECT t).leak FROM t",
    "SELECT x.leak FROM (SELECT ARRAY[1] AS a) AS y, LATERAL (SELECT y.a) AS x",
]


@pytest.mark.parametrize("statement", OWN_FUNCTIONS)
def test_postgres_runs_no_function_but_its_own(leaking, statement):
    result = leaking[0].run(statement, timeout=TIMEOUT)
    assert not result.ok
    assert "LEAKED" not in result.reason


ANSWERED = {
    "SELECT lower(b), upper(b), length(b), substring(b, 1, 1) FROM t WHERE a = 1": ("x1", "X1", 2, "x"),
    "SELECT pg_catalog.lower(b), pg_catalog.count(*) FILTER (WHERE a > 0) FROM t WHERE a = 1 GROUP BY b": ("x1", 1),
    "SELECT count(*) FILTER (WHERE a > 1999), min(a), string_agg(b, ',') FILTER (WHERE a < 3) FROM t": (1, 1, "x1,x2"),
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM t": (1000.5,),
    "SELECT row_number() OVER (ORDER BY a), lag(a, 1, 0) OVER (ORDER BY a) FROM t LIMIT 1": (1, 0),
    "SELECT extract(year FROM day)::int, date_trunc('year', day)::date FROM sales": (2024, "2024-01-01"),
    "SELECT trim('  x '), position('x' IN 'ax'), coalesce(NULL, 'c'), greatest(1, 2), nullif(1, 1)": (
        "x", 2, "c", 2, None,
    ),
    "SELECT g.g, u.x FROM generate_series(1, 2) AS g, unnest(ARRAY['a']) AS u (x) LIMIT 1": (1, "a"),
    "SELECT e.key, e.value FROM jsonb_each('{\"a\": {\"b\": 1}}'::jsonb) AS e": ("a", '{"b": 1}'),
    "SELECT z.n FROM sales, LATERAL (SELECT count(*) AS n FROM t WHERE t.a = sales.buyer) AS z": (1,),
}  # fmt: skip


@pytest.mark.parametrize("statement", ANSWERED)
def test_postgres_own_functions_are_found_in_spite_of_others_of_their_names(leaking, statement):
    result = leaking[0].run(statement)
    assert result.rows == [ANSWERED[statement]], result.reason


def test_functions_of_extensions_are_found_and_never_one_of_the_users_own_of_their_name(postgres):
    database, owner = postgres
    if not owner.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'").fetchall():
        pytest.skip("needs pg_trgm: apt install postgresql-contrib")
    owner.execute('CREATE SCHEMA "Ext"')
    owner.execute('CREATE EXTENSION pg_trgm SCHEMA "Ext"')
    url, query = database.location.replace("+psycopg", ""), "SELECT similarity(b, 'x1') FROM t WHERE a = 1"
    with Database(url) as fresh:
        assert fresh.run(query).rows == [(1.0,)]
        assert "similarity" not in {table.name for table in fresh.schema.tables}
    owner.execute(f"SET search_path = public; {LEAKS[0].format(name='similarity')}")
    owner.execute('CREATE FUNCTION "Ext".similarity(t) RETURNS text LANGUAGE sql AS $$ SELECT 1 / 0 $$')
    with Database(url) as fresh:
        assert "pg_catalog.similarity" in fresh.run(query).reason
        assert "pg_catalog.similarity" in fresh.run("SELECT similarity(t) FROM t").reason


def test_postgres_tells_types_partitions_and_other_schemas(postgres):
    database, owner = postgres
    for statement in (
        "CREATE TYPE mood AS ENUM ('sad', 'it''s ok')",
        "CREATE TABLE typed (m mood, ms mood[], n int[], s varchar(9)[], at timestamptz, f double precision)",
        "CREATE TABLE visits (day date, n int) PARTITION BY RANGE (day)",
        "CREATE TABLE visits_2024 PARTITION OF visits FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
        "CREATE SCHEMA shop",
        "CREATE TABLE shop.items (id int PRIMARY KEY)",
        'CREATE TABLE shop.t (item int REFERENCES shop.items (id), buyer int REFERENCES public."Buyers" (id))',
        "INSERT INTO shop.items VALUES (7)",
        "CREATE VIEW seen AS SELECT a FROM t",
    ):
        owner.execute(statement)
    tables = {table.name: table for table in introspect(database).tables}
    assert [column.type for column in tables["typed"].columns] == [
        "ENUM('sad', 'it''s ok')", "ENUM('sad', 'it''s ok')[]", "INT[]", "VARCHAR(9)[]", "TIMESTAMPTZ", "DOUBLE",
    ]  # fmt: skip
    assert {"visits", "seen", "shop.items", "shop.t"} <= set(tables)
    assert "visits_2024" not in tables
    assert tables["shop.items"].columns[0].values == ("7",)
    keys = [(key.columns, key.table, key.references, key.namespace) for key in tables["shop.t"].foreign_keys]
    assert sorted(keys) == [(("buyer",), "Buyers", ("id",), ""), (("item",), "shop.items", ("id",), "shop")]
    with Database(database.location.replace("+psycopg", "")) as fresh:
        assert fresh.run("SELECT i.id, public.t.a FROM shop.items AS i, t LIMIT 1").rows == [(7, 1)]
        assert "there is no table items" in fresh.run("SELECT id FROM items").reason
    with Database(f"{database.location.replace('+psycopg', '')}&options=-csearch_path%3Dshop,public") as other:
        tables = {table.name: table for table in introspect(other).tables}
        assert {"items", "t", "public.t", "Buyers"} <= set(tables)
        assert other.run("SELECT items.id, u.a FROM items, public.t AS u LIMIT 1").rows == [(7, 1)]


def test_rows_that_the_role_may_not_see_are_not_said_to_be_none(postgres):
    database, owner = postgres
    for statement in (
        "CREATE TABLE wages (name text, team text, amount int)",
        "INSERT INTO wages VALUES ('Ada', 'a', 5), ('Bo', 'b', 7)",
        "ALTER TABLE wages ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY own ON wages USING (team = 'a')",
        "CREATE ROLE clerk LOGIN",
        "GRANT SELECT ON wages TO clerk",
    ):
        owner.execute(statement)
    url = database.location.replace("+psycopg", "")
    with Database(url) as boss, Database(url.replace("postgres@", "clerk@")) as clerk:
        assert [table.hides_rows for table in boss.schema.tables if table.name == "wages"] == [False]
        [seen] = clerk.schema.tables
        assert (seen.name, seen.hides_rows) == ("wages", True)
        sql = "SELECT amount FROM wages WHERE name = 'Bo'"
        said = []
        for one in (boss, clerk):
            hidden = hidden_tables(sql, one.schema)
            said.append(sentence("What does Bo earn?", sql, one.run(sql), "postgres", hidden))
    assert said[0] == "The value of amount is 7 (where name = 'Bo')."
    assert said[1] == (
        "You may see no such row (where name = 'Bo'): the database shows your role only some rows of wages."
    )
    total = Result("ok", columns=("sum",), rows=[(5,)])
    assert sentence("Total?", "SELECT sum(amount) FROM wages", total, "postgres", ("wages",)).endswith(
        "is 5. The database shows your role only some rows of wages."
    )


WRITTEN = {
    """SELECT '{"a": [1, true, null], "b": "x"}'::jsonb, '{"b":1,  "a":0.10}'::json""": (
        '{"a": [1, true, null], "b": "x"}', '{"b":1,  "a":0.10}',
    ),
    "SELECT ARRAY['a', NULL], ARRAY[[1, 2], [3, 4]], ARRAY[0.5, 1.10], ARRAY[true]": (
        '["a", null]', "[[1, 2], [3, 4]]", "[0.5, 1.1]", "[true]",
    ),
    "SELECT INTERVAL '1 month 2 days', DATE 'infinity', ARRAY[DATE '2024-02-29'], TIME '24:00'": (
        "1 mon 2 days", "infinity", '["2024-02-29"]', "24:00:00",
    ),
}  # fmt: skip


@pytest.mark.parametrize("statement", WRITTEN)
def test_values_that_python_has_no_type_for_are_as_postgres_writes_them(postgres, statement):
    assert postgres[0].run(statement).rows == [WRITTEN[statement]]


def test_a_column_called_user_is_the_column(postgres):
    database, owner = postgres
    owner.execute('CREATE TABLE posts ("user" text, "Order" int)')
    owner.execute("INSERT INTO posts VALUES ('ann', 1)")
    with Database(database.location.replace("+psycopg", "")) as fresh:
        assert fresh.run("SELECT user, posts.user, USER FROM posts WHERE user = 'ann'").rows == [("ann", "ann", "ann")]
        assert "user is a column of posts, which this query does not read" in fresh.run("SELECT user").reason


# What a session that is read-only stops by itself, even as the superuser.
POSTGRES_SESSION = [
    "DROP TABLE t",
    "INSERT INTO t VALUES (1)",
    "UPDATE t SET a = 1 RETURNING a",
    "TRUNCATE t",
    "SELECT evil()",
    "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
    "SELECT * INTO x FROM t",
    "SELECT * FROM t FOR UPDATE",
    "SELECT nextval('s')",
    "SELECT setval('s', 9)",
    "COPY t TO '/tmp/chaku-outside'",
    "COPY t TO PROGRAM 'touch /tmp/chaku-outside'",
    "COMMIT; DROP TABLE t",
    "SELECT 1; COMMIT; DROP TABLE t",
    "ROLLBACK",
    "SET default_transaction_read_only = off",
    "SHOW ALL",
    "DO $$ BEGIN DELETE FROM t; END $$",
    "VACUUM t",
    "LOCK TABLE t",
    "SELECT pg_sleep(9)",
    "SELECT count(*) FROM t a, t b, t c",
    "SELECT count(*) FROM generate_series(1, 100000000000)",
    "SELECT length(repeat('x', 900000000))",
    "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT count(*) FROM r",
]
# What it does not stop, as it changes no table: the parse tree must.
POSTGRES_TREE = [
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/chaku-outside')",
    "SELECT set_config('statement_timeout', '0', false)",
    "SELECT current_setting('data_directory')",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_terminate_backend(1)",
    "SELECT pg_reload_conf()",
    "SELECT * FROM dblink('', 'DROP TABLE t') AS x(a int)",
    "SELECT query_to_xml('SELECT 1', true, true, '')",
    "SELECT * FROM pg_shadow",
    "SELECT txid_current()",
]


@pytest.mark.parametrize("statement", POSTGRES_SESSION + POSTGRES_TREE)
def test_postgres_changes_nothing_reads_nothing_else_and_stops_in_time(postgres, statement):
    database, owner = postgres
    reason = refused_in_time(database.run, statement)
    if statement in POSTGRES_SESSION:
        refused_in_time(database.run_unchecked, statement)
    else:
        assert "not allowed" in reason
    [state] = owner.execute("SELECT count(*), sum(a), (SELECT last_value FROM s), to_regclass('x') FROM t").fetchall()
    assert state == (2000, 2001000, 1, None)
    assert owner.execute("SHOW default_transaction_read_only").fetchall() == [("off",)]
    assert not Path("/tmp/chaku-outside").exists()


def test_a_query_that_ran_too_long_ends_on_the_server_too(postgres):
    database, owner = postgres
    database.run("SELECT count(*) FROM t a, t b, t c", timeout=TIMEOUT)
    deadline = time.monotonic() + 10
    running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%t c'"
    while owner.execute(running).fetchall() != [(0,)]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def assert_ended_in_the_middle(database, sleeping, end):
    """The query `sleeping` says that its connection was ended by `end`, and the next query runs."""
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(database.run_unchecked, sleeping, timeout=30)
        deadline = time.monotonic() + 20
        while not end():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises(ChakuError, match="does not answer: the server ended the connection in the middle of a"):
            asked.result()
    assert database.run("SELECT count(*) FROM t").rows == [(2000,)]


def test_postgres_that_goes_away_in_the_middle_is_no_wrong_query(postgres):
    database, owner = postgres
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'FETCH %' AND state = 'active'"
    assert_ended_in_the_middle(database, "SELECT pg_sleep(25)", lambda: owner.execute(end).fetchone())


@pytest.fixture(scope="module")
def mysql():
    pymysql = pytest.importorskip("pymysql", reason="needs the sql extra")
    if servers.mysql_program() is None:
        pytest.skip("NOT TESTED: MySQL's safety, as no server is installed: apt install mariadb-server")
    with servers.mysql() as url:
        owner = pymysql.connect(unix_socket=url.split("=")[1], user="root", autocommit=True)
        with owner.cursor() as cursor, Database(url) as database:
            cursor.execute("CREATE DATABASE test")
            cursor.execute("USE test")
            cursor.execute("CREATE TABLE t AS SELECT seq AS a, concat('x', seq) AS b FROM seq_1_to_2000")
            cursor.execute(
                "CREATE TABLE `Buyers` (id INT PRIMARY KEY, `full name` VARCHAR(40) COMMENT 'first and last') "
                "COMMENT 'who buy'"
            )
            cursor.execute("CREATE TABLE sales (buyer INT, day DATE, FOREIGN KEY (buyer) REFERENCES `Buyers` (id))")
            cursor.execute("INSERT INTO `Buyers` VALUES (1, 'Ada'), (2, 'O''Brien'), (3, 'Ada')")
            cursor.execute("INSERT INTO sales VALUES (1, '2024-02-29')")
            yield database, cursor
        owner.close()


def test_mysql_answers_queries(mysql):
    database, _ = mysql
    assert (database.dialect, database.name) == ("mysql", "test")
    result = database.run("SELECT a, b, a / 4 AS c, '100%' AS d FROM t WHERE a % 2 = 1 ORDER BY a LIMIT 1")
    assert result.columns == ("a", "b", "c", "d")
    assert [str(cell) for cell in result.rows[0]] == ["1", "x1", "0.2500", "100%"]
    assert database.run("SELECT 1 AS empty FROM t WHERE a < 0").columns == ("empty",)
    assert "missing" in database.run("SELECT missing FROM t").reason


def test_mysql_runs_no_query_that_it_estimates_to_cost_more_than_the_limit(mysql):
    database, _ = mysql
    refused = database.run("SELECT count(*) FROM t AS x, t AS y", max_cost=0.001)
    assert refused.status == "refused"
    assert re.match("not run: (the server estimates a cost of|this server estimates no cost)", refused.reason)
    if "estimates a cost" in refused.reason:
        assert database.run("SELECT a FROM t ORDER BY a LIMIT 1", max_cost=1e6).rows == [(1,)]


def test_mysql_is_introspected(mysql):
    assert described(mysql[0], "Buyers", "sales") == BUYERS


def test_mariadb_takes_what_is_written_for_mysql_8(mysql):
    database, _ = mysql
    ask = "SELECT b FROM t WHERE {} ORDER BY a LIMIT 1"
    assert database.run(ask.format("b REGEXP '^x1.$' AND b NOT RLIKE 'x10'")).rows == [("x11",)]
    assert database.run(ask.format("regexp_like(b, '9$')")).rows == [("x9",)]
    taken = "SELECT j ->> '$.a.b', j -> '$.a', json_extract(j, '$.a.b') FROM"
    extract = f"""{taken} (SELECT '{{"a": {{"b": "c"}}}}' AS j) AS s"""
    assert database.run(extract).rows == [("c", '{"b": "c"}', '"c"')]


def test_mariadb_that_goes_away_in_the_middle_is_no_wrong_query(mysql):
    database, cursor = mysql

    def end():
        cursor.execute("SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT sleep(25)%'")
        return [cursor.execute(f"KILL CONNECTION {number}") for (number,) in cursor.fetchall()]

    assert_ended_in_the_middle(database, "SELECT sleep(25)", end)
    assert database.server.title == "MariaDB"  # by its own word: its URL begins with mysql://


def test_mysql_tells_types_and_leaves_out_views_of_tables_that_are_gone(mysql):
    database, cursor = mysql
    for statement in (
        "CREATE TABLE typed (m ENUM('Sad', 'it''s ok'), s SET('A', 'b'), at DATETIME, late TIME, n INT UNSIGNED)",
        "INSERT INTO typed VALUES ('Sad', 'A,b', '2024-02-29 10:00:00', '25:00:00', 1)",
        "CREATE TABLE gone (a INT)",
        "CREATE VIEW stale AS SELECT a FROM gone",
        "CREATE VIEW seen AS SELECT a FROM t",
        "DROP TABLE gone",
    ):
        cursor.execute(statement)
    tables = {table.name: table for table in introspect(database).tables}
    types = [column.type for column in tables["typed"].columns]
    assert types[:4] == ["ENUM('Sad','it''s ok')", "SET('A','b')", "DATETIME", "TIME"]
    assert types[4].endswith("UNSIGNED")
    assert "seen" in tables
    assert "stale" not in tables
    assert database.run("SELECT m, s, at, late FROM typed").rows == [("Sad", "A,b", "2024-02-29 10:00:00", "25:00:00")]
    schema = introspect(database)
    assert (
        "there is no table buyers; the nearest is Buyers" in database.run("SELECT id FROM buyers", schema=schema).reason
    )
    assert database.run("SELECT test.Buyers.ID FROM test.Buyers", schema=schema).ok


def test_a_stored_function_of_the_users_own_does_not_run(mysql):
    database, cursor = mysql
    cursor.execute("CREATE FUNCTION initcap(x TEXT) RETURNS TEXT DETERMINISTIC RETURN 'LEAKED'")
    for call in ("initcap(b)", "`initcap` (b)", "InitCap(b)"):
        with Database(database.location.replace("+pymysql", "")) as fresh:
            assert "not allowed" in fresh.run(f"SELECT {call} FROM t LIMIT 1").reason


MYSQL_SESSION = [
    "DROP TABLE t",
    "INSERT INTO t VALUES (1, 'x')",
    "UPDATE t SET a = 1",
    "SELECT * FROM t FOR UPDATE",
    "CREATE TEMPORARY TABLE z (a INT)",
    "COMMIT; DROP TABLE t",
    "SELECT sleep(9)",
    "SELECT count(*) FROM t a, t b, t c",
    "SELECT 1 INTO @a",
    "SET GLOBAL max_connections = 1",
]
MYSQL_TREE = [
    "SELECT 1 INTO OUTFILE '/tmp/chaku-outside'",
    "SELECT 1 INTO DUMPFILE '/tmp/chaku-outside'",
    "SELECT load_file('/etc/passwd')",
    "SELECT get_lock('a', 1)",
    "SELECT benchmark(1000000000, md5('x'))",
    "SELECT @a := 1",
    "SELECT * FROM mysql.user",
]


@pytest.mark.parametrize("statement", MYSQL_SESSION + MYSQL_TREE)
def test_mysql_changes_nothing_reads_nothing_else_and_stops_in_time(mysql, statement):
    database, owner = mysql
    reason = refused_in_time(database.run, statement)
    if statement in MYSQL_SESSION:
        refused_in_time(database.run_unchecked, statement)
    else:
        assert "not allowed" in reason
    owner.execute("SELECT count(*), sum(a) FROM t")
    assert [int(cell) for cell in owner.fetchone()] == [2000, 2001000]
    assert not Path("/tmp/chaku-outside").exists()
    assert database.run("SELECT 1 /*!50000 , sleep(9) */").rows == [(1,)]


def test_files_of_one_name_in_two_folders_are_two_databases(tmp_path, monkeypatch):
    places = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        sqlite3.connect("shop.sqlite").close()
        for path in ("shop.sqlite", f"../{name}/shop.sqlite", f"sqlite:///{tmp_path}/{name}/shop.sqlite"):
            with Database(path) as database:
                places.add(database.place)
    assert places == {f"{tmp_path}/{name}/shop.sqlite" for name in ("one", "two")}
