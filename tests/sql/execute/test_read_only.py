import time

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.sql.engines.postgres import TABLE_FUNCTIONS
from chaku.sql.execute.functions import FUNCTIONS
from chaku.sql.execute.parse import Refused
from chaku.sql.execute.read_only import check_read_only

ALLOWED = {
    "postgres": [
        "SELECT count(*), sum(a) FILTER (WHERE b > 1), row_number() OVER (PARTITION BY b ORDER BY a) FROM t GROUP BY b",
        "WITH r AS (SELECT a FROM t) SELECT * FROM r UNION ALL SELECT 1 EXCEPT SELECT 2",
        "SELECT DISTINCT ON (a) a, b::date, date_trunc('month', c), to_char(c, 'YYYY'), extract(year FROM c) FROM s.t",
        "SELECT CASE WHEN a IN (1, 2) THEN 'x' ELSE b || 'y' END FROM t WHERE b ILIKE 'a%' AND c IS NOT NULL",
        "SELECT t.a FROM t LEFT JOIN u USING (id), LATERAL (SELECT 1) z WHERE EXISTS (SELECT 1) LIMIT 3",
        "SELECT j ->> 'a', j #>> '{a,b}', arr[1], a = ANY (arr), now() - INTERVAL '3 days' FROM t",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a), string_agg(b, ',' ORDER BY b), coalesce(a, 0) FROM t",
        "SELECT pg_catalog.lower(a), b ~ 'x', a BETWEEN 1 AND 2, -a, NOT b, a % 2 FROM t GROUP BY ROLLUP (a, b)",
    ],
    "mysql": [
        "SELECT `a b`, group_concat(b SEPARATOR ';'), if(a > 1, 'x', 'y'), ifnull(a, b), date_format(d, '%Y') FROM t",
        "SELECT year(d), datediff(d, e), concat(a, b), a DIV 2, a <=> b, a REGEXP 'x' FROM t LIMIT 3, 4",
    ],
    "duckdb": [
        "SELECT strftime(d, '%Y'), median(a), list(b), a // 2, [1, 2][1], x FROM t, unnest(t.l) u(x)",
        "SELECT a FROM t QUALIFY rank() OVER (ORDER BY b) = 1",
        "SELECT * EXCLUDE (a) FROM t WHERE a GLOB 'x*'",
    ],
}


@pytest.mark.parametrize(("dialect", "sql"), [(dialect, sql) for dialect, many in ALLOWED.items() for sql in many])
def test_what_a_question_needs_passes(dialect, sql):
    again = check_read_only(sql, dialect)
    assert check_read_only(again, dialect) == again


REFUSED = {
    "postgres": [
        "DROP TABLE t",
        "INSERT INTO t VALUES (1)",
        "UPDATE t SET a = 1",
        "DELETE FROM t",
        "TRUNCATE t",
        "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE",
        "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
        "WITH d AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM d",
        "SELECT * FROM (WITH d AS (UPDATE t SET a = 1 RETURNING *) SELECT * FROM d) x",
        "SELECT * INTO x FROM t",
        "SELECT * FROM t FOR UPDATE",
        "SELECT * FROM t FOR NO KEY UPDATE",
        "SELECT (SELECT 1 FROM t FOR SHARE)",
        "SELECT pg_sleep(9)",
        'SELECT "pg_sleep"(9)',
        "SELECT PG_CATALOG.PG_SLEEP(9)",
        "SELECT pg_sleep_for('5 minutes')",
        'SELECT U&"pg\\005fsleep"(9)',
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT * FROM pg_read_file('/etc/passwd')",
        "SELECT pg_read_binary_file('x')",
        "SELECT pg_ls_dir('/')",
        "SELECT pg_stat_file('x')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT lo_export(1, '/tmp/x')",
        "SELECT lo_from_bytea(1, 'x')",
        "SELECT lo_unlink(1)",
        "SELECT set_config('a', 'b', false)",
        "SELECT current_setting('data_directory')",
        "SELECT nextval('s')",
        "SELECT setval('s', 1)",
        "SELECT * FROM dblink('host=x', 'select 1') AS t(a int)",
        "SELECT query_to_xml('drop table t', true, true, '')",
        "SELECT database_to_xml(true, true, '')",
        "SELECT pg_terminate_backend(1)",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_notify('a', 'b')",
        "SELECT pg_reload_conf()",
        "SELECT txid_current()",
        "SELECT evil.lower('x')",
        "SELECT my_function(1)",
        "SELECT * FROM pg_shadow",
        "SELECT * FROM pg_catalog.pg_authid",
        "SELECT * FROM information_schema.tables",
        "COPY t TO '/tmp/x'",
        "COPY t TO PROGRAM 'id'",
        "COPY (SELECT 1) TO '/tmp/x'",
        "DO $$ BEGIN END $$",
        "CALL f()",
        "SHOW ALL",
        "SET a = 1",
        "LOCK TABLE t",
        "EXPLAIN ANALYZE DELETE FROM t",
        "PREPARE a AS SELECT 1",
        "EXECUTE a",
        "LISTEN a",
        "VACUUM",
        "COMMIT",
        "BEGIN",
        "SELECT 1; DROP TABLE t",
        "",
        "-- x",
        "SELECT $1",
        "SELECT 1 +",
        "SELECT " + "(" * 5000 + "1" + ")" * 5000,
        "SELECT '" + "x" * 60_000 + "'",
    ],
    "mysql": [
        "SELECT * FROM t INTO OUTFILE '/tmp/x'",
        "SELECT 1 INTO DUMPFILE '/tmp/x'",
        "SELECT 1 INTO @a",
        "SELECT load_file('/etc/passwd')",
        "SELECT sleep(9)",
        "SELECT `sleep`(9)",
        "SELECT benchmark(1000000000, md5('x'))",
        "SELECT get_lock('a', 9)",
        "SELECT release_all_locks()",
        "SELECT master_pos_wait('a', 1)",
        "SELECT @a := 1",
        "SELECT @@version",
        "SELECT * FROM t FOR UPDATE",
        "SELECT * FROM t LOCK IN SHARE MODE",
        "SELECT * FROM mysql.user",
        "SELECT * FROM performance_schema.threads",
        "SELECT sys_exec('id')",
        "SELECT extractvalue(1, concat(1))",
        "SELECT updatexml(1, 2, 3)",
        "SELECT last_insert_id(5)",
        "SELECT uuid_short()",
        "HANDLER t OPEN",
        "LOAD DATA INFILE 'x' INTO TABLE t",
        "SET GLOBAL a = 1",
        "DO sleep(5)",
        "CALL f()",
        "FLUSH TABLES",
        "KILL 1",
        "DELETE FROM t",
        "SELECT 1; SELECT 2",
    ],
    "duckdb": [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('x')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('x')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM sniff_csv('x')",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('t')",
        "SELECT getenv('HOME')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM duckdb_settings()",
        "COPY t TO 'x'",
        "ATTACH 'x'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 9",
        "PRAGMA version",
        "EXPORT DATABASE 'x'",
        "CHECKPOINT",
        "CREATE TEMP TABLE x AS SELECT 1",
        "CALL pragma_version()",
        "SELECT getvariable('x')",
        "SELECT nextval('s')",
    ],
}


@pytest.mark.parametrize(("dialect", "sql"), [(dialect, sql) for dialect, many in REFUSED.items() for sql in many])
def test_what_changes_reads_outside_or_waits_is_refused(dialect, sql):
    with pytest.raises(Refused):
        check_read_only(sql, dialect)


RENAMED = {
    "sqlite": ["julianday(a)", "unixepoch(a)", "json_group_array(a)", "a COLLATE NOCASE"],
    "postgres": ["json_agg(a)", "json_object_agg(a, b)", "sha256(a)", "make_time(a, b, c)"],
    "mysql": [
        "convert_tz(a, b, c)",
        "format(a, 2)",
        "maketime(a, b, c)",
        "json_objectagg(a, b)",
        "time_format(a, '%H')",
    ],
    "duckdb": ["jaro_winkler_similarity(a, b)", "make_time(a, b, c)", "make_timestamp(a, b, c, d, e, f)"],
}


@pytest.mark.parametrize(("dialect", "call"), [(dialect, call) for dialect, many in RENAMED.items() for call in many])
def test_functions_that_sqlglot_knows_by_other_names_may_be_called(dialect, call):
    called = f"pg_catalog.{call}" if dialect == "postgres" else call
    assert check_read_only(f"SELECT {call} FROM t", dialect).lower() == f"select {called} from t".lower()


@pytest.mark.parametrize(
    ("dialect", "sql", "name"),
    [
        ("postgres", "SELECT version()", "version"),
        ("postgres", "SELECT pg_sleep(9)", "pg_sleep"),
    ],
)
def test_a_refused_function_is_named_as_the_engine_calls_it(dialect, sql, name):
    with pytest.raises(Refused, match=f"the function {name} is not on the list"):
        check_read_only(sql, dialect)


def test_a_comment_that_mysql_would_execute_does_not_reach_it():
    assert "sleep" not in check_read_only("SELECT 1 /*!50000 , sleep(9) */", "mysql").lower()
    assert "sleep" not in check_read_only("SELECT 1 /*M!100100 , sleep(9) */", "mysql").lower()


def test_strings_come_back_as_they_were():
    assert check_read_only("SELECT 'it''s -- not /* a comment', 'a\\b'", "postgres") == (
        "SELECT 'it''s -- not /* a comment', 'a\\b'"
    )
    assert check_read_only(r"SELECT 'it\'s', 'a\\b'", "mysql") == r"SELECT 'it''s', 'a\\b'"


def test_reserved_words_that_are_names_are_written_as_names():
    assert check_read_only("SELECT User, t.user FROM t", "postgres") == 'SELECT "user", t."user" FROM t'
    assert check_read_only("SELECT rank, `key` FROM t", "mysql") == "SELECT `rank`, `key` FROM t"


def test_an_extensions_function_is_written_with_its_schema_and_no_other():
    extensions = {"similarity": "My ext"}
    written = check_read_only("SELECT similarity(a, lower(b)) FROM t", "postgres", extensions)
    assert written == 'SELECT "My ext".SIMILARITY(a, pg_catalog.LOWER(b)) FROM t'
    for call in ("other.similarity(a, b)", '"My ext".lower(a)', "other.sum(a) FILTER (WHERE b)"):
        with pytest.raises(Refused):
            check_read_only(f"SELECT {call} FROM t", "postgres", extensions)
    with pytest.raises(Refused):
        check_read_only("SELECT * FROM other.generate_series(1, 2)", "postgres")


@pytest.mark.parametrize(
    "sql", ["SELECT CAST(1 AS " + 25 * "DECIMAL(" + "1" + 26 * ")", "SELECT " + 25 * "[" + 25 * "]"]
)
def test_what_sqlglot_would_read_again_and_again_is_refused_at_once(sql):
    started = time.process_time()
    with pytest.raises(Refused, match="nested in too many ways"):
        check_read_only(sql, "postgres")
    assert time.process_time() - started < 5


def test_mysql_is_asked_for_the_date_in_utc_in_its_own_words():
    assert check_read_only("SELECT utc_date(), utc_time()", "mysql") == "SELECT UTC_DATE(), UTC_TIME()"


def test_functions_in_from_whose_columns_are_known_may_be_called():
    assert set(TABLE_FUNCTIONS) <= FUNCTIONS
    for name in TABLE_FUNCTIONS:
        assert f"pg_catalog.{name}(".upper() in check_read_only(f"SELECT * FROM {name}(a, b)", "postgres").upper()
