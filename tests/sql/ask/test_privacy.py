"""A database whose every cell is marked: no mark may reach the model."""

import json

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku import api
from chaku.sql.ask.memory import Memory
from chaku.sql.ask.privacy import fill_values, without_values
from chaku.sql.schema.definition import Column, Schema, Table
from chaku.sql.schema.values import Match
from endpoint_server import running_server
from singers_database import write_database

MARKED = """
CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT, city TEXT, born TEXT);
INSERT INTO person VALUES ('MARK 1', 'MARK Ada Smith', 'MARK United Kingdom', 'MARK 1980'),
  ('MARK 2', 'MARK Bo Jones', 'MARK France', 'MARK 1990');
"""


@pytest.fixture
def asking(tmp_path, monkeypatch):
    """asking(question, *replies, database=..., **settings) -> (answer, the texts of all requests)."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    people = write_database(tmp_path / "people.sqlite", MARKED)

    def one(question, *replies, database=people, **settings):
        settings = {"send_values": False, "memory": tmp_path / "memory.jsonl", "num_samples": 1, **settings}
        left = [*replies]
        with running_server() as server:
            server.answer = lambda request: {"choices": [{"message": {"content": left.pop(0)}}]}
            answer = api.ask(database, api.connect(server.url, chat=True), question, **settings)
        return answer, [json.dumps(request, ensure_ascii=False) for request in server.requests]

    return one


def test_no_cell_is_sent_with_the_schema_or_as_a_hint(asking):
    question, query = "Who lives in the united kingdom?", "SELECT name FROM person WHERE city = 'united kingdom'"
    _, sent = asking(question, query, send_values=True)
    assert "MARK" in sent[0]  # so the test would see a mark
    answer, sent = asking(question, query)
    assert len(sent) == 1
    assert "MARK" not in "".join(sent)
    assert "city TEXT" in sent[0]
    assert answer.result.ok


def test_remembered_pairs_are_not_sent(asking, tmp_path):
    remembered = Memory(tmp_path / "memory.jsonl")
    remembered.remember("Where does MARK Ada Smith live?", "SELECT city FROM person WHERE name = 'MARK Ada Smith'", "x")
    question = "Where does the person live?"
    assert "MARK" in asking(question, "SELECT 1", send_values=True)[1][0]
    _, sent = asking(question, "SELECT 1")
    assert "MARK" not in "".join(sent)


def marked_duckdb(tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="needs the sql extra")
    path = tmp_path / "people.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE person (name VARCHAR, mood ENUM('MARK glad', 'MARK sad'), born VARCHAR)")
        connection.execute("INSERT INTO person VALUES ('MARK Ada', 'MARK glad', 'MARK 1980')")
    return path


def test_an_engines_message_that_quotes_a_cell_is_not_sent_again(asking, tmp_path):
    path = marked_duckdb(tmp_path)
    fails = "SELECT CAST(born AS INTEGER) FROM person"
    answer, sent = asking("When were they born?", fails, fails, database=path)
    assert "MARK 1980" in answer.refusal  # the user may read the message
    assert len(sent) == 2
    assert f"This query is wrong: {fails}. The database cannot run it." in sent[1]
    assert "MARK" not in "".join(sent)


def test_labels_of_enum_types_are_not_sent(asking, tmp_path):
    path = marked_duckdb(tmp_path)
    assert "MARK sad" in asking("Which moods?", "SELECT 1", database=path, send_values=True)[1][0]
    _, sent = asking("Which moods?", "SELECT 1", database=path)
    assert "mood ENUM" in sent[0]
    assert "MARK" not in sent[0]


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("ENUM('glad', 'so(so')[]", "ENUM"),  # PostgreSQL
        ("Set('a','b')", "Set"),  # MySQL
        ("STRUCT(a ENUM('glad'), b INTEGER)", "STRUCT"),
        ("VARCHAR(20)", "VARCHAR(20)"),
    ],
)
def test_a_type_keeps_its_sizes_and_loses_its_labels(kind, shown):
    schema = Schema("x", (Table("t", (Column("a", kind, "a comment", ("'v'",), primary_key=True),)),))
    assert without_values(schema).tables[0].columns == (Column("a", shown, "a comment", primary_key=True),)


def test_a_query_that_is_repaired_says_its_wrong_names_without_the_values_that_were_filled_in(asking):
    wrong = "SELECT name FROM person WHERE city = 'mark united kingdom' AND shoes = 1"
    right = "SELECT name FROM person WHERE city = 'mark united kingdom'"
    answer, sent = asking("Who lives in mark united kingdom?", wrong, right)
    assert "no table of this query has a column shoes" in sent[1]
    assert "MARK" not in "".join(sent)
    assert answer.sql == "SELECT name FROM person WHERE city = 'MARK United Kingdom'"
    assert answer.result.rows == [("MARK Ada Smith",)]
    assert answer.assumptions == ("\"mark united kingdom\" is taken as person.city = 'MARK United Kingdom'",)


MATCHES = [Match(1.0, "t", "city", "Côte d'Ivoire", "cote d ivoire"), Match(0.9, "t", "state", "O'Hara", "uk")]


@pytest.mark.parametrize(
    ("sql", "filled"),
    [
        ("SELECT a FROM t WHERE city = 'cote d''ivoire'", "SELECT a FROM t WHERE city = 'Côte d''Ivoire'"),
        ("SELECT a FROM t WHERE state IN ('UK', 'x')", "SELECT a FROM t WHERE state IN ('O''Hara', 'x')"),
        ("SELECT a FROM t WHERE other = 'UK'", "SELECT a FROM t WHERE other = 'UK'"),
        ("SELECT a FROM t WHERE city = 'Côte d''Ivoire'", "SELECT a FROM t WHERE city = 'Côte d''Ivoire'"),
    ],
)
def test_the_words_of_a_question_become_the_values_that_they_mean(sql, filled):
    assert fill_values(sql, MATCHES) == filled
