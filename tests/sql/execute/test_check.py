import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.sql.execute.check import check
from chaku.sql.execute.fix import fix
from chaku.sql.schema.definition import Column, Dialect, Schema, Table


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


def test_a_name_that_is_wrong_twice_is_said_once():
    [problem] = check("SELECT nothing FROM customers WHERE nothing = 1", SCHEMA)
    assert problem.name == "nothing"


def test_a_name_is_put_right_where_it_differs_in_no_letter():
    fixed, changes = fix("SELECT c.names FROM customer AS c WHERE Countries = 'x'", SCHEMA)
    assert check(fixed, SCHEMA) == []
    assert changes == ["customer was read as customers", "names was read as name", "Countries was read as country"]
    fixed, changes = fix("SELECT total_amount FROM orders", SCHEMA)
    assert (check(fixed, SCHEMA), changes) == ([], ["total_amount was read as Total Amount"])
    assert '"Total Amount"' in fixed


@pytest.mark.parametrize(
    ("written", "existing"),
    [("contestant_name", "contestant_number"), ("contact_id", "contract_id"), ("county", "country"), ("nane", "name")],
)
def test_a_name_that_differs_in_letters_may_mean_something_else_and_stays(written, existing):
    schema = Schema("one", (Table("t", columns(existing)),))
    sql = f"SELECT {written} FROM t"
    assert fix(sql, schema) == (sql, [])
    [problem] = check(sql, schema)
    assert problem.nearest == (existing,)


def test_a_name_without_a_plain_neighbour_and_a_text_that_is_no_query_stay():
    for sql in ("SELECT city FROM customers", "SELECT name FROM", "SELECT name FROM customers"):
        assert fix(sql, SCHEMA) == (sql, [])


def test_a_table_joined_with_itself_without_an_alias_is_a_problem_and_no_error():
    [problem] = check("SELECT name FROM customers JOIN customers ON id = id", SCHEMA)
    assert "customers" in problem.message
    assert fix("SELECT nane FROM customers JOIN customers ON id = id", SCHEMA)[1] == []


def in_dialect(dialect: Dialect) -> Schema:
    return Schema(
        "shop",
        (
            Table("Buyers", columns("id", "Full", "user")),
            Table("sales", columns("id", "buyer", "total")),
            Table("old.sales", columns("id", "gone"), namespace="old"),
        ),
        dialect,
        ("public",),
    )


# As the servers take names: PostgreSQL reads what is not in quotes in small letters, MySQL minds the case of tables.
CASE = {
    ("postgres", 'SELECT "Full" FROM "Buyers"'): "",
    ("postgres", "SELECT Total, S.ID FROM Sales AS s"): "",
    ("postgres", "SELECT id FROM Buyers"): 'SELECT id FROM "Buyers"',
    ("postgres", 'SELECT b.Full FROM "Buyers" AS b'): 'SELECT b."Full" FROM "Buyers" AS b',
    ("postgres", 'SELECT "TOTAL" FROM sales'): "SELECT total FROM sales",
    ("postgres", 'SELECT T.total FROM sales AS "T"'): 'SELECT "T".total FROM sales AS "T"',
    ("postgres", 'SELECT user FROM "Buyers"'): "",
    ("mysql", "SELECT FULL FROM buyers"): "SELECT FULL FROM Buyers",
    ("mysql", "SELECT b.ID FROM Buyers AS B"): "SELECT B.ID FROM Buyers AS B",
    ("mysql", "SELECT b.ID, ToTal FROM Buyers AS b, sales"): "",
    ("duckdb", 'SELECT "FULL", S.TOTAL FROM "BUYERS", SALES AS s'): "",
    ("duckdb", "SELECT gone FROM old.SALES WHERE sales.gone = 1"): "",
    ("postgres", "SELECT gone FROM old.sales"): "",
    ("postgres", "SELECT total FROM public.sales"): "",
    ("sqlite", 'SELECT "FULL" FROM buyers'): "",
}


@pytest.mark.parametrize(("dialect", "sql"), CASE)
def test_case_is_as_the_engine_minds_it_and_is_put_right_without_a_word(dialect, sql):
    schema, right = in_dialect(dialect), CASE[dialect, sql]
    assert bool(check(sql, schema)) == bool(right)
    fixed, changes = fix(sql, schema)
    assert check(fixed, schema) == []
    assert changes == []
    assert fixed == (right or sql)


def test_a_table_of_another_schema_is_found_by_its_name_alone():
    schema = Schema("shop", (Table("old.sales", columns("id"), namespace="old"),), "postgres")
    assert fix("SELECT id FROM sales", schema) == ("SELECT id FROM old.sales", ["sales was read as old.sales"])
    [problem] = check("SELECT id FROM new.sales", schema)
    assert "there is no table new.sales; the nearest is old.sales" in problem.message


# Each reads the name behind the dot as a function where no such column is there.
CALLS = [
    "SELECT s.leak FROM sales AS s",
    "SELECT sales.leak FROM sales",
    "SELECT public.sales.leak FROM sales",
    "SELECT f.pg_read_file FROM unnest(ARRAY['/etc/passwd']) AS f",
    "SELECT f.leak FROM sales, LATERAL unnest(ARRAY[buyer]) AS f",
    "SELECT f.leak FROM my_function() AS f",
    "SELECT x.leak FROM (SELECT 1 AS a) AS x",
    "SELECT x.leak FROM (SELECT id FROM sales UNION SELECT id FROM sales) AS x",
    "SELECT x.leak FROM (SELECT * FROM unnest(ARRAY[1])) AS x",
    "WITH x AS (SELECT * FROM sales) SELECT x.leak FROM x",
    "WITH x (a) AS (SELECT id FROM sales) SELECT x.id FROM x",
    "SELECT id FROM sales ORDER BY sales.leak",
    "SELECT count(*) FROM sales AS s GROUP BY s.leak",
    "SELECT 1 FROM sales AS s JOIN sales AS t ON s.leak = t.leak",
    "SELECT 1 FROM sales AS s WHERE EXISTS (SELECT 1 FROM sales AS t WHERE s.leak = 1)",
    "SELECT x.ctid FROM (SELECT id FROM sales) AS x",
    "SELECT f.f, f.leak FROM generate_series(1, 2) AS f",
    "SELECT sum(s.leak) OVER (PARTITION BY s.leak) FROM sales AS s",
    "SELECT v.leak FROM (VALUES (1)) AS v (a)",
]


@pytest.mark.parametrize("sql", CALLS)
def test_a_name_behind_a_dot_that_is_no_column_never_reaches_postgresql(sql):
    assert check(sql, in_dialect("postgres"))


COLUMNS = [
    "SELECT s.id, s.ctid, sales.total FROM sales AS s, sales",
    "SELECT f.f FROM unnest(ARRAY[1, 2]) AS f",
    "SELECT u.x FROM unnest(ARRAY[1, 2]) AS u (x)",
    "SELECT e.key, e.value FROM sales, jsonb_each(sales.total) AS e",
    "SELECT g.g::date FROM generate_series(1, 2) AS g",
    "SELECT x.a FROM (SELECT 1 AS a) AS x",
    "SELECT x.id FROM (SELECT * FROM sales UNION SELECT * FROM sales) AS x",
    "WITH x AS (SELECT s.* FROM sales AS s), y AS (SELECT * FROM x) SELECT y.total FROM y",
    "WITH x (a, b) AS (SELECT id, total FROM sales) SELECT x.a FROM x",
    "SELECT v.a FROM (VALUES (1), (2)) AS v (a)",
    "SELECT z.n FROM sales AS s, LATERAL (SELECT count(*) AS n FROM sales AS t WHERE t.buyer = s.buyer) AS z",
    "WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT r.x + 1 FROM r WHERE r.x < 3) SELECT r.x FROM r",
    "SELECT s.id FROM sales AS s WHERE s.total > (SELECT avg(t.total) FROM sales AS t WHERE t.buyer = s.buyer)",
    "SELECT row_to_json(s) FROM sales AS s",
]


@pytest.mark.parametrize("sql", COLUMNS)
def test_a_name_behind_a_dot_that_is_a_column_passes(sql):
    assert check(sql, in_dialect("postgres")) == []


def test_a_field_of_a_struct_is_no_unknown_table():
    schema = Schema("one", (Table("t", columns("place")),), "duckdb")
    assert check("SELECT place.city, t.place.city FROM t", schema) == []
    assert check("SELECT town.city FROM t", schema)


def test_queries_that_each_read_the_one_before_twice_are_looked_up_once():
    before, queries = "customers", []
    for number in range(25):
        queries.append(f"c{number} AS (SELECT a.* FROM {before} AS a, {before} AS b)")
        before = f"c{number}"
    with_queries = f"WITH {', '.join(queries)} SELECT"
    assert check(f"{with_queries} name FROM {before}", SCHEMA) == []
    assert check(f"{with_queries} surname FROM {before}", SCHEMA)


def test_a_very_deep_name_is_a_problem_and_no_error():
    assert check("SELECT " + 900 * "a." + "b FROM customers", in_dialect("postgres"))


def test_an_empty_statement_in_front_changes_nothing():
    assert check('; SELECT "surname" FROM customers', SCHEMA) == []  # a string, as SQLite reads it
    assert check("; SELECT surname FROM customers", SCHEMA)


def test_a_result_may_be_named_in_duckdbs_qualify():
    sql = "SELECT id, rank() OVER (ORDER BY total) AS place FROM sales QUALIFY place = 1 AND id > 3"
    assert check(sql, in_dialect("duckdb")) == []
