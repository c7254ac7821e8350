import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.sql.check import check, fix
from chaku.sql.schema import Column, Schema, Table


def columns(*names):
    return tuple(Column(name) for name in names)


SCHEMA = Schema(
    "shop",
    (
        Table("customers", columns("id", "name", "country")),
        Table("orders", columns("id", "customer_id", "placed", "Total Amount")),
        Table("products", columns("id", "name", "price")),
    ),
)

RIGHT = [
    "SELECT name FROM customers",
    "SELECT NAME FROM Customers AS C WHERE c.Country = 'x'",
    "SELECT T1.name, count(*) AS n FROM customers T1 JOIN orders T2 ON T1.id = customer_id GROUP BY T1.id ORDER BY n",
    "SELECT name FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE placed > '2020')",
    "SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM orders WHERE customer_id = c.id AND country = 'x')",
    "WITH t AS (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) SELECT avg(n) FROM t",
    "SELECT x.n FROM (SELECT count(*) AS n FROM orders) AS x",
    "SELECT name FROM (SELECT * FROM customers) WHERE country = 'x'",
    "SELECT name FROM customers UNION SELECT name FROM products ORDER BY name",
    'SELECT "Total Amount" FROM orders',
    'SELECT name FROM customers WHERE country = "France"',
    "SELECT placed FROM customers JOIN orders USING (id) WHERE id > 3",
    "SELECT count(*) AS n FROM orders GROUP BY customer_id HAVING n > 2",
    "SELECT name, rank() OVER (PARTITION BY country ORDER BY id) AS r FROM customers ORDER BY r",
    "SELECT (SELECT count(*) FROM orders) - (SELECT count(*) FROM products)",
    "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r WHERE x < 5) SELECT x FROM r",
]


@pytest.mark.parametrize("sql", RIGHT)
def test_a_query_whose_names_exist_has_no_problem(sql):
    assert check(sql, SCHEMA) == []


WRONG = {
    "SELECT surname FROM customers": "no table of this query has a column surname; the nearest is name",
    "SELECT city FROM customers": "no table of this query has a column city; there is country, id, name",
    "SELECT name FROM custmers": "there is no table custmers; the nearest is customers",
    "SELECT name FROM clients": "there is no table clients; there is customers, orders, products",
    "SELECT T3.name FROM customers AS T1": "T3 in T3.name is no table of this query; there is t1",
    "SELECT T1.price FROM customers AS T1": "T1 has no column price; there is country, id, name",
    "SELECT price FROM customers": "price is a column of products, which this query does not read",
    "SELECT id FROM customers JOIN orders ON customer_id = customers.id": "id is ambiguous: customers.id or orders.id",
    "SELECT name FROM customers WHERE id IN (SELECT client FROM orders)": "no table of this query has a column client",
    "SELECT x.total FROM (SELECT count(*) AS n FROM orders) AS x": "x has no column total; there is n",
    "WITH t AS (SELECT id FROM orders) SELECT name FROM t": "name is a column of customers, products",
    "SELECT name FROM": "cannot be parsed",
    "DROP TABLE customers": "not a query",
    "SELECT 1; SELECT 2": "only one statement",
    "": "there is no statement",
}


@pytest.mark.parametrize("sql", WRONG)
def test_what_is_wrong_is_said_with_the_nearest_names(sql):
    [problem] = check(sql, SCHEMA)
    assert WRONG[sql] in problem.message


def test_a_misspelt_name_is_put_right_where_one_is_plainly_meant():
    fixed, changes = fix("SELECT c.names FROM custmers AS c WHERE Countries = 'x'", SCHEMA)
    assert check(fixed, SCHEMA) == []
    assert changes == ["custmers was read as customers", "names was read as name", "Countries was read as country"]
    fixed, changes = fix("SELECT total_amount FROM orders", SCHEMA)
    assert (check(fixed, SCHEMA), changes) == ([], ["total_amount was read as Total Amount"])
    assert '"Total Amount"' in fixed


def test_a_name_without_a_plain_neighbour_and_a_text_that_is_no_query_stay():
    for sql in ("SELECT city FROM customers", "SELECT name FROM", "SELECT name FROM customers"):
        assert fix(sql, SCHEMA) == (sql, [])


def test_a_table_joined_with_itself_without_an_alias_is_a_problem_and_no_error():
    [problem] = check("SELECT name FROM customers JOIN customers ON id = id", SCHEMA)
    assert "customers" in problem.message
    assert fix("SELECT nane FROM customers JOIN customers ON id = id", SCHEMA)[1] == []
