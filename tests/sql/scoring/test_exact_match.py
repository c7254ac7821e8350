import pytest

from chaku.sql.schema.definition import read_sqlite
from chaku.sql.scoring.exact_match import Matcher, merged_columns


@pytest.fixture(scope="module")
def matcher(music):
    return Matcher(read_sqlite(music, num_values=0))


SAME = [
    ("SELECT name, age FROM singer", "select AGE, Name from SINGER"),
    ("SELECT name FROM singer WHERE age > 20", "SELECT name FROM singer WHERE age > 99"),
    ("SELECT name FROM singer WHERE country = 'Peru'", 'SELECT name FROM singer WHERE country = "France"'),
    ("SELECT DISTINCT name FROM singer", "SELECT name FROM singer"),
    ("SELECT count(DISTINCT name) FROM singer", "SELECT count(name) FROM singer"),
    ("SELECT name FROM singer WHERE age > 1 AND name = 'a'", "SELECT name FROM singer WHERE name = 'b' AND age > 2"),
    ("SELECT name FROM singer LIMIT 1", "SELECT name FROM singer LIMIT 7"),
    (
        "SELECT T1.name FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id",
        "SELECT s.name FROM song g JOIN singer s ON g.singer_id = s.id",
    ),
    (  # a foreign key makes them equal
        "SELECT T1.id FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id GROUP BY T1.id",
        "SELECT T2.singer_id FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id GROUP BY T2.singer_id",
    ),
    (
        "SELECT name FROM singer WHERE id IN (SELECT singer_id FROM song WHERE year > 2000)",
        "SELECT name FROM singer WHERE id IN (SELECT singer_id FROM song WHERE year > 1)",
    ),
    ("SELECT name FROM singer UNION SELECT title FROM song", "SELECT name FROM singer UNION SELECT title FROM song"),
    ("SELECT count(*) AS n, name FROM singer GROUP BY name ORDER BY n",
     "SELECT name, count(*) FROM singer GROUP BY name ORDER BY count(*)"),
    ("WITH old AS (SELECT name FROM singer WHERE age > 3) SELECT name FROM old",
     "SELECT name FROM (SELECT name FROM singer WHERE age > 3)"),
]  # fmt: skip

DIFFERENT = [
    ("SELECT name FROM singer", "SELECT country FROM singer"),
    ("SELECT name FROM singer", "SELECT name, name FROM singer"),
    ("SELECT max(age) FROM singer", "SELECT min(age) FROM singer"),
    ("SELECT name FROM singer WHERE age > 20", "SELECT name FROM singer WHERE age >= 20"),
    ("SELECT name FROM singer WHERE age > 20", "SELECT name FROM singer"),
    ("SELECT name FROM singer WHERE age > 1 AND id > 1", "SELECT name FROM singer WHERE age > 1 OR id > 1"),
    ("SELECT name FROM singer WHERE name LIKE 'a'", "SELECT name FROM singer WHERE name NOT LIKE 'a'"),
    ("SELECT name FROM singer ORDER BY age", "SELECT name FROM singer ORDER BY age DESC"),
    ("SELECT name FROM singer ORDER BY age LIMIT 1", "SELECT name FROM singer ORDER BY age"),
    ("SELECT name FROM singer GROUP BY name HAVING count(*) > 1", "SELECT name FROM singer GROUP BY name"),
    ("SELECT name FROM singer GROUP BY name, age", "SELECT name FROM singer GROUP BY age, name"),
    ("SELECT name FROM singer UNION SELECT title FROM song",
     "SELECT name FROM singer INTERSECT SELECT title FROM song"),
    ("SELECT name FROM singer UNION SELECT title FROM song",
     "SELECT name FROM singer UNION ALL SELECT title FROM song"),
    ("SELECT singer.name FROM singer JOIN song ON singer.id = song.singer_id",
     "SELECT singer.name FROM singer LEFT JOIN song ON singer.id = song.singer_id"),
    ("SELECT singer.name FROM singer JOIN song ON singer.id = song.singer_id", "SELECT singer.name FROM singer, song"),
    (  # DISTINCT counts within a condition's subquery, as in the official code
        "SELECT name FROM singer WHERE id IN (SELECT singer_id FROM song)",
        "SELECT name FROM singer WHERE id IN (SELECT DISTINCT singer_id FROM song)",
    ),
    (  # and values within FROM
        "SELECT count(*) FROM (SELECT name FROM singer WHERE age > 3)",
        "SELECT count(*) FROM (SELECT name FROM singer WHERE age > 4)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "predicted"), SAME)
def test_queries_of_the_same_clauses_match(matcher, gold, predicted):
    assert matcher.compare(gold, predicted).matches is True
    assert matcher.compare(predicted, gold).matches is True


@pytest.mark.parametrize(("gold", "predicted"), DIFFERENT)
def test_queries_of_different_clauses_do_not_match(matcher, gold, predicted):
    assert matcher.compare(gold, predicted).matches is False
    assert matcher.compare(predicted, gold).matches is False


@pytest.mark.parametrize(
    ("predicted", "reason"),
    [
        ("SELEC name FROM singer", "not"),
        ("SELECT nope FROM singer", "no table in FROM has a column nope"),
        ("SELECT name FROM nope", "there is no table nope"),
        ("DROP TABLE singer", "not a query"),
        ("SELECT 1; SELECT 2", "only one statement"),
        ("", "there is no statement"),
        ("SELECT " + "(" * 3000, "exact match"),
    ],
)
def test_what_cannot_be_compared_does_not_match_and_says_why(matcher, predicted, reason):
    match = matcher.compare("SELECT name FROM singer", predicted)
    assert match.matches is False
    assert match.hardness == "easy"
    assert reason in match.reason


def test_a_gold_query_that_cannot_be_read_has_no_verdict(matcher):
    match = matcher.compare("SELECT nope FROM singer", "SELECT name FROM singer")
    assert (match.matches, match.hardness) == (None, None)
    assert "the gold query" in match.reason


@pytest.mark.parametrize(
    ("gold", "level"),
    [
        ("SELECT name FROM singer", "easy"),
        ("SELECT count(*) FROM singer WHERE age > 3", "easy"),
        ("SELECT name, age FROM singer ORDER BY age", "medium"),
        ("SELECT country, count(*) FROM singer GROUP BY country", "medium"),
        ("SELECT name FROM singer WHERE age > 3 ORDER BY age", "medium"),
        ("SELECT name FROM singer WHERE id NOT IN (SELECT singer_id FROM song)", "hard"),
        ("SELECT name FROM singer WHERE age > 3 ORDER BY age LIMIT 1", "hard"),
        ("SELECT name FROM singer WHERE age > 3 EXCEPT SELECT name FROM singer WHERE age > 9", "hard"),
        (
            "SELECT T1.name, count(*) FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id WHERE T2.year > 3"
            " GROUP BY T1.id ORDER BY count(*) DESC LIMIT 1",
            "extra",
        ),
    ],
)
def test_hardness_is_spiders(matcher, gold, level):
    assert matcher.compare(gold, gold).hardness == level


def test_columns_that_keys_make_equal_have_the_first_as_their_name(music):
    assert merged_columns(read_sqlite(music, num_values=0)) == {"singer.id": "singer.id", "song.singer_id": "singer.id"}
