import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.sql.ask.explain import explain
from chaku.sql.execute.parse import Refused
from chaku.sql.schema.definition import Column, Schema, Table

SCHEMA = Schema("shop", (Table("customers", (Column("id"), Column("name"))), Table("orders", (Column("customer_id"),))))


def test_a_query_is_told_in_the_order_in_which_it_is_computed():
    sql = (
        "SELECT T1.name, count(*) FROM customers AS T1 LEFT JOIN orders AS T2 ON T1.id = T2.customer_id WHERE T1.id > 3"
        " GROUP BY T1.id HAVING count(*) > 2 ORDER BY count(*) DESC, T1.name LIMIT 5 OFFSET 2"
    )
    assert explain(sql, SCHEMA) == [
        "Read customers, called T1",
        "Join each row with, where there is one, the rows of orders, called T2 where T1.id = T2.customer_id",
        "Keep rows where T1.id > 3",
        "Put rows together that have the same T1.id",
        "Keep groups where COUNT(*) > 2",
        "Show T1.name, COUNT(*)",
        "Sort by COUNT(*), the largest first; then by T1.name, the smallest first",
        "Keep 5 rows after the first 2",
    ]


def test_parts_of_a_query_are_told_too():
    assert explain("SELECT DISTINCT name FROM customers EXCEPT SELECT * FROM (SELECT name FROM customers)", SCHEMA) == [
        "Read customers",
        "Show different name",
        "without:",
        "Read (Read customers; Show name)",
        "Show all columns",
    ]
    assert explain("WITH t AS (SELECT id FROM customers) SELECT id FROM t", SCHEMA)[0] == (
        "First, as t: Read customers; Show id"
    )


def test_what_is_no_query_is_refused():
    with pytest.raises(Refused):
        explain("DROP TABLE customers", SCHEMA)


def test_a_join_in_parentheses_is_told():
    assert explain("SELECT name FROM (customers JOIN orders ON id = customer_id) AS t", SCHEMA)[0] == (
        "Read (customers JOIN orders ON id = customer_id), called t"
    )
