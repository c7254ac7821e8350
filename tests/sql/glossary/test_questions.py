"""Questions that metrics answer by rule, against queries written by hand; and near misses, which go to the model."""

import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from chaku.sql.execute.database import Database
from chaku.sql.glossary.query import NoAnswer
from chaku.sql.glossary.rules import RuleAnswer
from sql.glossary.rulebooks import BENCHMARKS, HERE, TODAY, lines_of, rules_of

DATABASES = ["shop", "dog_kennels", "world_1"]


@pytest.fixture(params=DATABASES, scope="module")
def named(request, shop_file):
    """(name, path, rules) of a database."""
    path = shop_file
    if request.param != "shop":
        if not BENCHMARKS:
            pytest.skip("CHAKU_BENCHMARKS is not set: rules on Spider's databases are NOT tested")
        path = Path(BENCHMARKS) / "spider" / "database" / request.param / f"{request.param}.sqlite"
    with Database(str(path)) as database:
        yield request.param, database, rules_of(database, HERE / f"{request.param}.glossary.toml")


def rounded(rows):
    return [tuple(round(cell, 6) if isinstance(cell, float) else cell for cell in row) for row in rows]


def test_every_question_in_scope_has_the_rows_of_the_query_by_hand(named):
    name, database, rules = named
    wrong = []
    with closing(sqlite3.connect(database.location)) as connection:
        for question, query in lines_of("questions.tsv", name):
            found = rules.answer(question, TODAY[name])
            if not isinstance(found, RuleAnswer):
                wrong.append((question, found))
                continue
            result = database.run(found.sql, schema=rules.lexicon.schema)
            got, expected = rounded(result.rows), rounded(connection.execute(query).fetchall())
            same = got == expected if "ORDER BY" in query else Counter(got) == Counter(expected)
            if not same or not expected:
                wrong.append((question, found.sql, result.reason, got[:3], expected[:3]))
    assert not wrong


def test_no_near_miss_is_answered_by_rule(named):
    name, _, rules = named
    found = {question: rules.answer(question, TODAY[name]) for question, _ in lines_of("near_misses.tsv", name)}
    assert {question for question, answer in found.items() if isinstance(answer, RuleAnswer)} == set()
    twice = {question for question, why in lines_of("near_misses.tsv", name) if why == "twice"}
    assert {question for question, answer in found.items() if isinstance(answer, NoAnswer)} == twice


def test_the_suite_has_the_size_that_it_claims():
    questions = [question for name in DATABASES for question, _ in lines_of("questions.tsv", name)]
    assert len(set(questions)) == len(questions) >= 200
    german = re.compile(r"\b(Umsatz|Wie|Welches|Die|nach|pro|je|Anzahl|Vergleiche|in Europa)\b")
    others = [question for question in questions if not question.isascii() or german.search(question)]
    assert len(others) >= 30
    assert sum(len(lines_of("near_misses.tsv", name)) for name in DATABASES) >= 40


def test_a_refusal_names_the_table_whose_rows_would_count_twice(answer):
    refused = answer("revenue by product")
    assert isinstance(refused, NoAnswer)
    assert "a row of purchase may have several rows of item" in refused.reason


def test_two_customers_of_one_name_are_two_rows(tmp_path):
    path = tmp_path / "twins.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer, amount REAL);
            INSERT INTO customer VALUES (1, 'Ana'), (2, 'Ana');
            INSERT INTO purchase VALUES (1, 1, 10), (2, 2, 20), (3, NULL, 5);"""
        )
    words = tmp_path / "twins.glossary.toml"
    words.write_text(
        '[tables.customer]\nlabel = "name"\n[metrics.revenue]\nexpression = "sum(amount)"\ntable = "purchase"\n'
    )
    with Database(str(path)) as database:
        found = rules_of(database, words).answer("revenue by customer", TODAY["shop"])
        rows = database.run(found.sql).rows
    assert sorted(rows, key=str) == [("Ana", 10.0), ("Ana", 20.0), (None, 5.0)]  # the third has no customer


def test_a_short_value_is_no_usual_word(tmp_path):
    """ "in" is not the code IN of a country, and IN in capitals may be either."""
    path = tmp_path / "codes.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE sale (id INTEGER PRIMARY KEY, code TEXT, amount REAL);"
            "INSERT INTO sale VALUES (1, 'IN', 10), (2, 'CAN', 20), (3, 'PER', 40)"
        )
    words = tmp_path / "codes.glossary.toml"
    words.write_text('[metrics.revenue]\nexpression = "sum(amount)"\ntable = "sale"\n')
    with Database(str(path)) as database:
        rules = rules_of(database, words)
        found = {
            text: rules.answer(text, TODAY["shop"]) for text in ("revenue in CAN", "revenue per code", "revenue IN")
        }
        assert rules.answer("can we see revenue", TODAY["shop"]) is None
    assert "sale.code = 'CAN'" in found["revenue in CAN"].sql
    assert "WHERE" not in found["revenue per code"].sql
    assert found["revenue IN"] is None
