"""Queries that read private columns are refused, and those that do not are not."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.sql.execute.check import check
from chaku.sql.execute.database import Database
from chaku.sql.execute.fix import fix
from chaku.sql.execute.parse import Refused
from chaku.sql.execute.read_only import check_read_only
from chaku.sql.schema.introspect import introspect

PRIVATE = frozenset({("person", "email"), ("person", "id")})
TABLES = """
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, email TEXT, team INTEGER);
CREATE TABLE team (id INTEGER PRIMARY KEY, email TEXT, town TEXT);
CREATE VIEW everybody AS SELECT name, email AS contact FROM person;
INSERT INTO person VALUES (7, 'Ada', 'MARK@x.org', 1);
INSERT INTO team VALUES (1, 'team@x.org', 'Rome');
"""

REFUSED = [
    "SELECT email FROM person",
    'SELECT "email" FROM person',
    "SELECT [email] FROM person",
    "SELECT EMAIL FROM Person",
    "SELECT p.email FROM person p",
    "SELECT main.person.email FROM main.person",
    "SELECT name FROM person WHERE email LIKE 'a%'",
    "SELECT name FROM person ORDER BY email",
    "SELECT count(*) FROM person GROUP BY email",
    "SELECT count(email) FROM person",
    "SELECT max(length(email)) FROM person",
    "SELECT * FROM person",
    "SELECT p.* FROM person p",
    "SELECT town, p.* FROM team JOIN person p ON p.team = team.id",
    "SELECT x.name FROM (SELECT * FROM person) x",
    "WITH w AS (SELECT * FROM person) SELECT name FROM w",
    "SELECT name FROM person UNION SELECT email FROM person",
    "SELECT town FROM team WHERE id IN (SELECT team FROM person WHERE email = 'x')",
    "SELECT town FROM team WHERE EXISTS (SELECT 1 FROM person WHERE person.email = team.email)",
    "SELECT town FROM team JOIN person USING (email)",
    "SELECT town FROM team NATURAL JOIN person",
    "SELECT name FROM person JOIN team ON person.email = team.email",
    "SELECT sum(team) OVER (PARTITION BY email) FROM person",
    "SELECT CASE WHEN email IS NULL THEN 1 END FROM person",
    "SELECT rowid FROM person",
    "SELECT person.oid FROM person",
    "SELECT b FROM (SELECT 1 AS a, email AS b FROM person)",
    "SELECT name FROM person WHERE (SELECT email) = 'x'",
    "SELECT person.'email' FROM person",
    "SELECT contact FROM everybody",
    "SELECT name FROM everybody",
]
ALLOWED = [
    "SELECT name FROM person",
    "SELECT count(*) FROM person",
    "SELECT team.email FROM team",
    "SELECT email, town FROM team",
    "SELECT t.email, p.name FROM team t JOIN person p ON p.team = t.id",
    "SELECT t.*, p.name FROM team t JOIN person p ON p.team = t.id",
    "SELECT name AS email FROM person",
    "SELECT x.n FROM (SELECT name AS n FROM person) x WHERE x.n <> 'email'",
    "SELECT * FROM team",
    "SELECT * FROM (SELECT name, team FROM person)",
]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    path = tmp_path_factory.mktemp("private") / "people.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES)
    with Database(str(path)) as database:
        yield database, introspect(database, private=PRIVATE)


@pytest.mark.parametrize("query", REFUSED)
def test_a_query_that_reads_a_private_column_does_not_run(people, query):
    database, schema = people
    result = database.run(query, schema=schema)
    assert not result.ok
    assert not result.rows
    assert database.run(query).ok or "'email'" in query or "(SELECT email)" in query  # so the query is right otherwise


@pytest.mark.parametrize("query", ALLOWED)
def test_other_queries_run_as_before(people, query):
    database, schema = people
    assert check(query, schema) == []
    result = database.run(query, schema=schema)
    assert result.rows == database.run(query).rows != []


def test_sqlite_itself_refuses_what_the_check_would_miss(people):
    database, _ = people
    for query in ("SELECT email FROM person", "SELECT rowid FROM person", "SELECT name FROM everybody"):
        assert database.run_unchecked(query).ok
        result = database.run_unchecked(query, private=PRIVATE)
        assert (result.status, [*result.rows]) == ("refused", [])


def test_the_reason_names_the_column_and_no_message_offers_a_private_name(people):
    _, schema = people
    [problem] = check("SELECT p.email FROM person p", schema)
    assert problem.message.startswith("person.email is private (in the glossary), so a query may neither show it")
    said = " ".join(
        problem.message
        for query in ("SELECT emai FROM person", "SELECT town, mail FROM team", "SELECT contct FROM person")
        for problem in check(query, schema)
    )
    assert "person.email" not in said
    assert fix("SELECT e_mail FROM person", schema)[0] == "SELECT e_mail FROM person"


def test_no_private_value_is_sampled_through_a_view_either(people):
    database, schema = people
    values = {value for table in schema.tables for column in table.columns for value in column.values}
    assert "'Ada'" in values
    assert "MARK" not in str(schema)
    assert "MARK" in str(introspect(database))


HOSTILE = {
    "duckdb": [
        "FROM person",
        "SELECT p FROM person p",
        "SELECT p.email FROM person p, range(2)",
        "SELECT email FROM person, unnest([1])",
        "SELECT p FROM person p, unnest([1]) u",
        "SELECT COLUMNS('e.*') FROM person",
        "SELECT COLUMNS(*) FROM person",
        "SELECT * EXCLUDE (name) FROM person",
        "SELECT #3 FROM person",
        "SELECT c FROM person AS t (a, b, c, d)",
        "SELECT struct_pack(person.*) FROM person",
        "SELECT list(p) FROM person p",
        "UNPIVOT person ON email INTO NAME n VALUE v",
        "SELECT v FROM (UNPIVOT person ON email INTO NAME n VALUE v)",
        "SELECT max(email) FILTER (WHERE true) FROM person QUALIFY row_number() OVER (ORDER BY email) = 1",
        "SELECT to_json(p) FROM person p",
        "SUMMARIZE person",
        "SELECT t.* FROM (FROM person) t",
        "SELECT unnest(p) FROM person p",
        "SELECT person FROM person",
        "SELECT a.b FROM (SELECT p AS a FROM person p)",
    ],
    "postgres": [
        "SELECT p FROM person p",
        "SELECT (p).email FROM person p",
        "SELECT p.email FROM person p",
        "SELECT row_to_json(p) FROM person p",
        "SELECT to_jsonb(person) FROM person",
        "SELECT p::text FROM person p",
        "SELECT c FROM person AS t (a, b, c, d)",
        "SELECT email(p) FROM person p",
        "SELECT p.* FROM person p",
        "SELECT x.c FROM (SELECT p AS c FROM person p) x",
        "SELECT count(DISTINCT p) FROM person p",
        "SELECT name FROM person p WHERE p = (1, 'a', 'b', 2)",
        "SELECT (SELECT p) FROM person p",
        "TABLE person",
        "SELECT array_agg(p) FROM person p",
        "SELECT name FROM person p JOIN LATERAL (SELECT p.*) x ON true",
        'SELECT "email" FROM person',
    ],
    "mysql": [
        "SELECT `email` FROM person",
        "SELECT person.* FROM person",
        "TABLE person",
        "SELECT name FROM person ORDER BY `email`",
    ],
}


@pytest.mark.parametrize(
    ("dialect", "query"), [(dialect, query) for dialect, some in HOSTILE.items() for query in some]
)
def test_other_engines_forms_of_reading_a_whole_row_are_refused(people, dialect, query):
    _, schema = people
    schema = replace(schema, dialect=dialect)
    try:
        checked = check_read_only(query, dialect)
    except Refused:
        return
    assert check(checked, schema)


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "mysql"])
def test_other_columns_can_be_read_on_other_engines(people, dialect):
    schema = replace(people[1], dialect=dialect, search_path=("main",))
    for query in (
        "SELECT p.name, t.email FROM person AS p JOIN team AS t ON p.team = t.id",
        "SELECT count(*) FROM person",
        "SELECT t.* FROM person AS p JOIN team AS t ON p.team = t.id",
    ):
        assert check(query, schema) == []
