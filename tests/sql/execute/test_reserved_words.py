"""Every keyword of an engine, as the engine lists them, names a column and a table where `quote_name` writes it."""

import sqlite3
from collections.abc import Iterable

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

import servers
from chaku.sql.engines.known import ENGINES
from chaku.sql.execute.database import Database
from chaku.sql.schema.definition import Dialect, quote_name

# https://sqlite.org/lang_keywords.html: SQLite does not list them itself.
SQLITE_KEYWORDS = """
abort action add after all alter always analyze and as asc attach autoincrement before begin between by cascade case
cast check collate column commit conflict constraint create cross current current_date current_time current_timestamp
database default deferrable deferred delete desc detach distinct do drop each else end escape except exclude exclusive
exists explain fail filter first following for foreign from full generated glob group groups having if ignore immediate
in index indexed initially inner insert instead intersect into is isnull join key last left like limit match
materialized natural no not nothing notnull null nulls of offset on or order others outer over partition plan pragma
preceding primary query raise range recursive references regexp reindex release rename replace restrict returning right
rollback row rows savepoint select set table temp temporary then ties to transaction trigger unbounded union unique
update using vacuum values view virtual when where window with without
"""


def statements(words: Iterable[str], dialect: Dialect, engine: str = "") -> Iterable[str]:
    """A table with a column of every name that holds the name, and a table of every name."""
    quoted = [quote_name(word, dialect, always=True) for word in words]
    yield f"CREATE TABLE every_word ({', '.join(f'{name} VARCHAR(40)' for name in quoted)}){engine}"
    values = ", ".join(f"'{word}'" for word in words)
    yield f"INSERT INTO every_word VALUES ({values})"
    for name, word in zip(quoted, words, strict=True):
        yield f"CREATE TABLE {name} (called VARCHAR(40)){engine}"
        yield f"INSERT INTO {name} VALUES ('{word}')"


def check_words(database: Database, words: list[str]) -> None:
    dialect = database.dialect
    for start in range(0, len(words), 30):
        part = words[start : start + 30]
        names = [quote_name(word, dialect) for word in part]
        last = names[-1]
        for sql in (
            f"SELECT {', '.join(names)} FROM every_word",
            f"SELECT {', '.join(f'T1.{name}' for name in names)} FROM every_word AS T1 ORDER BY T1.{last}",
            f"SELECT {', '.join(names)} FROM every_word GROUP BY {', '.join(names)} ORDER BY {last} DESC",
        ):
            result = database.run(sql)
            assert result.rows == [tuple(part)], (sql, result.reason)
        tables = [f"SELECT T1.called, {name}.called FROM {name} AS T1, {name}" for name in names]
        result = database.run(" UNION ALL ".join(tables))
        assert [row[0] for row in result.rows] == part, result.reason


def test_sqlites_keywords(tmp_path):
    words = SQLITE_KEYWORDS.split()
    connection = sqlite3.connect(tmp_path / "words.sqlite")
    for statement in statements(words, "sqlite"):
        connection.execute(statement)
    connection.commit()
    connection.close()
    with Database(str(tmp_path / "words.sqlite")) as database:
        check_words(database, words)


def test_duckdbs_keywords(tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="needs the sql extra")
    with duckdb.connect(str(tmp_path / "words.duckdb")) as connection:
        found = connection.execute("SELECT DISTINCT keyword_name FROM duckdb_keywords() ORDER BY 1").fetchall()
        words = [word for (word,) in found]
        connection.begin()  # else each of 900 statements waits for the disk
        for statement in statements(words, "duckdb"):
            connection.execute(statement)
        connection.commit()
    with Database(str(tmp_path / "words.duckdb")) as database:
        check_words(database, words)


def test_postgresqls_keywords():
    psycopg = pytest.importorskip("psycopg", reason="needs the sql extra")
    if servers.postgres_programs() is None:
        pytest.skip("needs a server: apt install postgresql")
    with servers.postgres() as url, psycopg.connect(url) as owner, Database(url) as database:
        words = [word for (word,) in owner.execute("SELECT word FROM pg_get_keywords() ORDER BY 1").fetchall()]
        for statement in statements(words, "postgres"):
            owner.execute(statement)
        owner.commit()
        check_words(database, words)


def test_mariadbs_keywords():
    pymysql = pytest.importorskip("pymysql", reason="needs the sql extra")
    if servers.mysql_program() is None:
        pytest.skip("needs a server: apt install mariadb-server")
    with servers.mysql() as url, Database(url) as database:
        owner = pymysql.connect(unix_socket=url.split("=")[1], user="root", autocommit=True)
        with owner.cursor() as cursor:
            cursor.execute("CREATE DATABASE test")
            cursor.execute("USE test")
            cursor.execute("SELECT lower(word) FROM information_schema.keywords WHERE word RLIKE '^[A-Za-z_]+$'")
            words = sorted({word for (word,) in cursor.fetchall()} | ENGINES["mysql"].reserved)
            for statement in statements(words, "mysql", engine=" ENGINE=MEMORY"):
                cursor.execute(statement)
        owner.close()
        check_words(database, words)


def test_a_word_that_an_engine_takes_needs_no_quotes():
    reserved = {"redshift": {"type"}, "oracle": {"date", "level"}}
    for dialect, engine in ENGINES.items():
        for word in ("name", "id", "type", "date", "year", "status", "title", "value", "country", "location", "level"):
            plain = engine.folded(word)  # Snowflake and Oracle read a name without quotes in capitals
            assert (quote_name(plain, dialect) == plain) == (word not in reserved.get(dialect, ()))
        assert quote_name("select", dialect) != "select"
