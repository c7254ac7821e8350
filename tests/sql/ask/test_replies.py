"""Replies of chat models as they really come, and the query in each."""

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.sql.ask.replies import extract_sql

EXTRACTED = {
    "SELECT 1": "SELECT 1",
    " select 'a;b' ; more": "select 'a;b'",
    "Sure, here it is:\n```sql\nSELECT name\nFROM t;\n```\nIt selects.": "SELECT name\nFROM t",
    "```\nWITH a AS (SELECT 1) SELECT * FROM a\n```": "WITH a AS (SELECT 1) SELECT * FROM a",
    "The query is SELECT a FROM t\n\nThis reads t.": "SELECT a FROM t",
    "I selected nothing": "I selected nothing",
    "DROP TABLE t; SELECT 1": "SELECT 1",
    "SELECT 'it''s; so' FROM \"a;b\"; DROP": "SELECT 'it''s; so' FROM \"a;b\"",
    "SELECT 'unfinished; text": "SELECT 'unfinished; text",
    # A fence that was cut off, a fence on one line, other fences, a first fence that is no query.
    "```sql\nSELECT a FROM t": "SELECT a FROM t",
    "```SELECT a FROM t```": "SELECT a FROM t",
    "~~~sql\nSELECT a FROM t\n~~~": "SELECT a FROM t",
    "Schema:\n```\nt(a, b)\n```\nQuery:\n```sql\nSELECT b FROM t;\n```": "SELECT b FROM t",
    # Prefixes.
    "SQL: SELECT a FROM t": "SELECT a FROM t",
    "**SQL query:** SELECT a FROM t": "SELECT a FROM t",
    "> SELECT a FROM t": "SELECT a FROM t",
    "Use `SELECT a FROM t` here.": "SELECT a FROM t",
    # Prose before and behind the query.
    "To select the names, write: SELECT a FROM t": "SELECT a FROM t",
    "Select the names of all:\n\nSELECT a FROM t": "SELECT a FROM t",
    "With the tables above, we can write\nSELECT a FROM t": "SELECT a FROM t",
    "SELECT a\nFROM t\nThis query reads the names.": "SELECT a\nFROM t",
    "SELECT a FROM t -- the names\nWHERE b = 1": "SELECT a FROM t -- the names\nWHERE b = 1",
    "SELECT a\nFrom t\nWhere b = 'One\nTwo'": "SELECT a\nFrom t\nWhere b = 'One\nTwo'",
    # A query that is wrong stays as it is: nothing is cut to make it right.
    "SELECT a FROM t\nWHERE (b = 1": "SELECT a FROM t\nWHERE (b = 1",
}


@pytest.mark.parametrize("reply", EXTRACTED)
def test_the_query_is_found_in_a_reply(reply):
    assert extract_sql(reply) == EXTRACTED[reply]
