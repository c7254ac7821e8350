"""What an engine could do besides reading its tables is refused before it is sent. Each text is one that runs there."""

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.sql.engines import engine as engine_module
from chaku.sql.engines.known import SERVERS
from chaku.sql.execute.database import Database
from chaku.sql.schema.definition import Column, Schema, Table

URLS = {
    "tsql": "sqlserver://reader@db/shop",
    "snowflake": "snowflake://reader:x@account/SHOP/PUBLIC",
    "bigquery": "bigquery://project/shop",
    "trino": "trino://reader@db/shop/public",
    "redshift": "redshift://reader:x@cluster/shop",
    "oracle": "oracle://reader:x@db/?service_name=shop",
    "clickhouse": "clickhouse://reader@db/shop",
}
EVERYWHERE = [
    "DROP TABLE t",
    "DELETE FROM t",
    "UPDATE t SET a = 1",
    "INSERT INTO t VALUES (1)",
    "CREATE TABLE x AS SELECT a FROM t",
    "SELECT a FROM t; DROP TABLE t",
    "GRANT SELECT ON t TO public",
    "SELECT a FROM secret",
    "SELECT a FROM other.secret",
    "SELECT a FROM far.other.secret",
    "SELECT a FROM information_schema.tables",
    "SELECT harmless_name(a) FROM t",
    "SELECT own.lower(a) FROM t",
]
DANGERS = {
    "tsql": [
        "EXEC xp_cmdshell 'dir'",
        "EXEC sp_executesql N'DROP TABLE t'",
        "SELECT a INTO b FROM t",
        "SELECT * FROM OPENROWSET('SQLNCLI', 'Server=x', 'SELECT 1') AS x",
        "SELECT * FROM OPENROWSET(BULK '/etc/passwd', SINGLE_CLOB) AS x",
        "SELECT * FROM OPENQUERY(linked, 'DROP TABLE t')",
        "SELECT * FROM OPENDATASOURCE('SQLNCLI', 'Server=x').db.dbo.t",
        "SELECT * FROM linked.db.dbo.t",
        "SELECT * FROM t WITH (TABLOCKX)",
        "SELECT NEXT VALUE FOR numbers",
        "SELECT @@servername",
        "SELECT a FROM t OPTION (MAXDOP 0)",
        "SELECT a FROM sys.sql_logins",
        "SELECT * FROM t CROSS APPLY sys.dm_exec_sql_text(a) AS x",
        "WAITFOR DELAY '00:10'",
        "BACKUP DATABASE shop TO DISK = 'x'",
    ],
    "snowflake": [
        "SELECT $1 FROM @stage/file.csv",
        "SELECT * FROM @~",
        "SELECT SYSTEM$WAIT(600)",
        "SELECT SYSTEM$CANCEL_ALL_QUERIES(1)",
        "SELECT GET_PRESIGNED_URL(@stage, 'x')",
        "SELECT BUILD_SCOPED_FILE_URL(@stage, 'x')",
        "SELECT * FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))",
        "SELECT * FROM IDENTIFIER('secret')",
        "SELECT * FROM t AT (OFFSET => -60)",
        "SELECT numbers.nextval FROM t",
        "SELECT SNOWFLAKE.CORTEX.COMPLETE('model', a) FROM t",
        "CALL run_it()",
        "COPY INTO @stage FROM t",
        "SELECT * FROM SNOWFLAKE.ACCOUNT_USAGE.LOGIN_HISTORY",
        "EXECUTE IMMEDIATE 'DROP TABLE t'",
    ],
    "bigquery": [
        "SELECT * FROM EXTERNAL_QUERY('connection', 'DROP TABLE t')",
        "SELECT * FROM ML.PREDICT(MODEL m, TABLE t)",
        "SELECT * FROM `other-project.other.secret`",
        "SELECT * FROM shop.INFORMATION_SCHEMA.TABLES",
        "SELECT * FROM shop.__TABLES__",
        "SELECT @@project_id",
        "SELECT SESSION_USER()",
        "EXPORT DATA OPTIONS (uri = 'gs://x/*') AS SELECT a FROM t",
        "EXECUTE IMMEDIATE 'DROP TABLE t'",
        "SELECT shop.own_function(a) FROM t",
        "SELECT * FROM t FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()",
        "CALL shop.run_it()",
    ],
    "trino": [
        "SELECT * FROM TABLE(shop.system.query(query => 'DROP TABLE t'))",
        "SELECT * FROM TABLE(system.query(query => 'DROP TABLE t'))",
        "SELECT * FROM TABLE(exclude_columns(input => TABLE(secret), columns => DESCRIPTOR(a)))",
        "SELECT * FROM system.runtime.queries",
        "SELECT * FROM other.public.secret",
        "SELECT * FROM t FOR VERSION AS OF 1",
        "CALL system.runtime.kill_query('x', 'y')",
        "WITH FUNCTION f(x integer) RETURNS integer RETURN x SELECT f(a) FROM t",
        "SET SESSION AUTHORIZATION root",
    ],
    "redshift": [
        "UNLOAD ('SELECT a FROM t') TO 's3://x/'",
        "COPY t FROM 's3://x/'",
        "SELECT pg_terminate_backend(1)",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT set_config('search_path', 'x', false)",
        "SELECT * FROM pg_user",
        "SELECT * FROM stl_query",
        "SELECT * FROM svv_tables",
        "SELECT x.version FROM (SELECT 1 AS a) AS x",
        "SELECT a INTO b FROM t",
        "SELECT a FROM t FOR UPDATE",
        "CALL run_it()",
    ],
    "oracle": [
        "SELECT UTL_HTTP.REQUEST('http://x') FROM t",
        "SELECT SYS.DBMS_LOCK.SLEEP(600) FROM t",
        "SELECT DBMS_XMLGEN.GETXML('SELECT 1 FROM secret') FROM t",
        "SELECT HTTPURITYPE('http://x').GETCLOB() FROM t",
        "SELECT XMLTYPE('<a/>') FROM t",
        "SELECT a FROM t@elsewhere",
        "SELECT numbers.NEXTVAL FROM t",
        "SELECT own_function FROM t",
        "SELECT own_package.own_function FROM t",
        "SELECT * FROM TABLE(own_function())",
        "SELECT a FROM t FOR UPDATE",
        "SELECT SYS_CONTEXT('USERENV', 'IP_ADDRESS') FROM t",
        "SELECT * FROM dba_users",
        "SELECT * FROM all_users",
        "SELECT * FROM v$session",
        "WITH FUNCTION f RETURN NUMBER IS BEGIN RETURN 1; END; SELECT f FROM t",
        "BEGIN DBMS_LOCK.SLEEP(600); END",
        "SELECT BFILENAME('D', 'f') FROM t",
    ],
    "clickhouse": [
        "SELECT * FROM url('http://x', 'CSV', 'a String')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT file('/etc/passwd')",  # readonly = 1 does not stop this one
        "SELECT * FROM s3('https://x', 'CSV')",
        "SELECT * FROM remote('host', 'db', 'secret')",
        "SELECT * FROM mysql('host', 'db', 'secret', 'user', 'x')",
        "SELECT * FROM executable('x.sh', 'TSV', 'a String')",
        "SELECT * FROM cluster('all', shop.secret)",
        "SELECT * FROM merge('shop', '.*')",
        "SELECT * FROM numbers(1000000000000)",
        "SELECT * FROM view(SELECT 1)",
        "SELECT dictGet('words', 'a', 1) FROM t",
        "SELECT joinGet('shop.secret', 'a', 1) FROM t",
        "SELECT sleepEachRow(3) FROM t",
        "SELECT getSetting('readonly') FROM t",
        "SELECT a FROM t SETTINGS readonly = 0",
        "SELECT a FROM t FORMAT Native",
        "SELECT a FROM t INTO OUTFILE '/tmp/x'",
        "SELECT * FROM system.users",
        "SELECT addressToLine(1) FROM t",
    ],
}


class Nothing:
    """A server that must not be asked."""

    def __init__(self):
        self.asked = []

    def ask(self, request):
        self.asked.append(request["sql"])
        raise AssertionError(f"was sent: {request['sql']}")

    def stop(self): ...


def test_every_engine_that_needs_a_server_is_covered():
    assert {engine.dialect for engine in SERVERS} - {"postgres", "mysql", "mariadb"} == DANGERS.keys() == URLS.keys()


@pytest.mark.parametrize("dialect", DANGERS)
def test_nothing_but_a_query_of_known_tables_and_functions_is_sent(dialect, monkeypatch):
    monkeypatch.setattr(engine_module, "_is_installed", lambda module: True)
    with Database(URLS[dialect]) as database:
        database._child = Nothing()
        fold = database.engine.folded
        columns = (Column(fold("a"), "INT"), Column(fold("b"), "INT"))
        database.__dict__["schema"] = Schema("shop", (Table(fold("t"), columns),), dialect, ("main",))
        database.__dict__["_own_functions"] = ()
        with pytest.raises(AssertionError, match="was sent"):
            database.run("SELECT lower(a) FROM t")
        for sql in [*EVERYWHERE, *DANGERS[dialect]]:
            assert not database.run(sql).ok, sql
        assert len(database._child.asked) == 1
