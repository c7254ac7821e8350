import pytest

from chaku.sql.execute.double_quotes import quote_literals
from chaku.sql.execute.parse import Refused
from chaku.sql.schema.definition import read_sqlite
from sql.resolving import unresolved


@pytest.fixture(scope="module")
def schema(music):
    return read_sqlite(music, num_values=0)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('SELECT name FROM singer WHERE country = "Peru"', "SELECT name FROM singer WHERE country = 'Peru'"),
        ('SELECT "name" FROM singer', 'SELECT "name" FROM singer'),
        ('SELECT "title" FROM singer', "SELECT 'title' FROM singer"),  # a column of another table only
        ('SELECT name FROM singer WHERE name = "D\'Arc"', "SELECT name FROM singer WHERE name = 'D''Arc'"),
        ('SELECT name FROM singer WHERE name = "a ""b"""', "SELECT name FROM singer WHERE name = 'a \"b\"'"),
        ('SELECT name FROM singer WHERE name = "Zoë" AND country = "日本"',
         "SELECT name FROM singer WHERE name = 'Zoë' AND country = '日本'"),
        ('SELECT age AS "years old" FROM singer ORDER BY "years old"',
         'SELECT age AS "years old" FROM singer ORDER BY "years old"'),
        ('SELECT name FROM singer WHERE EXISTS (SELECT 1 FROM song WHERE title = "name")',  # the outer query's column
         'SELECT name FROM singer WHERE EXISTS (SELECT 1 FROM song WHERE title = "name")'),
        ('SELECT "n" FROM (SELECT name AS n FROM singer)', 'SELECT "n" FROM (SELECT name AS n FROM singer)'),
        ('SELECT T1."name" FROM singer AS T1 WHERE  age > 3', 'SELECT T1."name" FROM singer AS T1 WHERE  age > 3'),
    ],
)  # fmt: skip
def test_only_names_that_nothing_has_become_literals(schema, query, expected):
    assert quote_literals(query, schema) == expected
    assert quote_literals(expected, schema) == expected


def test_names_resolve_once_strings_are_literals(schema):
    query = 'SELECT name FROM singer WHERE country = "Peru"'
    assert "'peru' could not be resolved" in unresolved(query, schema)
    assert unresolved(quote_literals(query, schema), schema) == ""
    assert "nope" in unresolved("SELECT nope FROM singer", schema)


def test_what_does_not_parse_is_said(schema):
    with pytest.raises(Refused, match="cannot be parsed"):
        quote_literals("SELECT FROM WHERE (", schema)
