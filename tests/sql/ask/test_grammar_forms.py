"""The forms of each engine: the grammar has them, they may run, and the engine, where it is here, runs them."""

import re
import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

import servers
from chaku.inference.constraints import Constraint, Vocabulary
from chaku.sql.ask.grammar import sql_grammar
from chaku.sql.ask.grammar_names import RESERVED
from chaku.sql.engines.known import ENGINES
from chaku.sql.execute.read_only import check_read_only
from chaku.sql.schema.definition import Column, Schema, Table
from chaku.tokens.tokenizer_training import train_tokenizer

DIALECTS = ("sqlite", "duckdb", "postgres", "mysql")
TABLES = {
    "customers": {
        "id": "integer",
        "name": "varchar(80)",
        "country": "varchar(80)",
        "joined": "date",
        "active": "boolean",
    },
    "orders": {"id": "integer", "customer_id": "integer", "placed_at": "timestamp", "status": "varchar(80)"},
    "products": {"id": "integer", "name": "varchar(80)", "category": "varchar(80)", "price": "numeric(10, 2)"},
    "staff": {"id": "integer", "name": "varchar(80)", "manager_id": "integer"},
    "events": {
        name: "date" if name == "date" else "integer"
        for name in ["date", "count", "year", "month", "first", "total", "position"]
    },
}

EVERYWHERE = [
    "SELECT sum(price) AS revenue FROM products ORDER BY revenue DESC",
    "SELECT country, count(*) AS NumberOfCustomers FROM customers GROUP BY country ORDER BY NumberOfCustomers"
    " DESC LIMIT 1",
    "SELECT category AS kind, avg(price) AS average FROM products GROUP BY kind HAVING avg(price) > 3 ORDER BY average",
    "SELECT C.name, O.status FROM customers AS C JOIN orders O ON C.id = O.customer_id WHERE O.status = 'paid'",
    "SELECT cus.name, ord.status FROM customers cus JOIN orders ord ON cus.id = ord.customer_id",
    "SELECT count(*) FROM staff AS boss JOIN staff AS worker ON worker.manager_id = boss.id WHERE boss.name = 'Ada'",
    "SELECT max(order_count) FROM (SELECT count(*) AS order_count FROM orders GROUP BY customer_id) AS per_customer",
    "SELECT name FROM customers JOIN (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) AS busiest"
    " ON customers.id = busiest.customer_id WHERE busiest.n > 1 ORDER BY busiest.n",
    "SELECT c.* FROM customers c",
    "SELECT customers.*, orders.status FROM customers INNER JOIN orders ON customers.id = orders.customer_id",
    "SELECT name FROM customers RIGHT JOIN orders ON customers.id = orders.customer_id",
    "SELECT customers.name FROM customers LEFT OUTER JOIN products USING (id)",
    "SELECT CASE country WHEN 'FR' THEN 'France' WHEN 'DE' THEN 'Germany' ELSE country END FROM customers",
    "SELECT CASE lower(country) WHEN 'fr' THEN 1 ELSE 0 END FROM customers",
    "SELECT name, sum(price) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS moving FROM products",
    "SELECT category, 100.0 * sum(price) / sum(sum(price)) OVER () AS share FROM products GROUP BY category",
    "SELECT name, row_number() OVER (PARTITION BY category ORDER BY price DESC) AS position FROM products",
    "SELECT name, ntile(4) OVER (ORDER BY price), first_value(name) OVER (ORDER BY price) FROM products",
    "WITH RECURSIVE chain (id, depth) AS (SELECT id, 1 FROM staff WHERE manager_id IS NULL UNION ALL"
    " SELECT staff.id, chain.depth + 1 FROM staff JOIN chain ON staff.manager_id = chain.id) SELECT max(depth)"
    " FROM chain",
    "WITH paid AS (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id), best AS (SELECT max(n) AS top"
    " FROM paid) SELECT p.customer_id FROM paid p JOIN best b ON p.n = b.top ORDER BY p.customer_id",
    "SELECT name FROM customers WHERE active = TRUE OR active IS NOT TRUE",
    "SELECT name FROM customers WHERE active AND NOT active",
    "SELECT name FROM customers WHERE joined < current_date",
    "SELECT count(DISTINCT country), count(DISTINCT(name)) FROM customers",
    "SELECT distinct(country) FROM customers",
    "SELECT DISTINCT (country) FROM customers",
    "SELECT name FROM products WHERE (category, price) IN (SELECT category, max(price) FROM products GROUP BY"
    " category)",
    "SELECT date , count FROM events WHERE date > '2020-01-01' AND year BETWEEN 2000 AND 2010 ORDER BY count DESC",
    "SELECT month , total FROM events WHERE first = 1 AND position > 2 ORDER BY total , first",
    "SELECT name FROM customers WHERE name LIKE '%' AND id IN (1, 2)\n                          ORDER BY name",
    "SELECT avg(price), max(price) - min(price) AS spread FROM products WHERE price * -1 < -0.5",
    "SELECT (SELECT count(*) FROM orders) > 5",
    "WITH ranked AS (SELECT name, rank() OVER (ORDER BY price DESC) AS place FROM products)"
    " SELECT name FROM ranked WHERE place <= 3",
    "SELECT id, name AS 总数 FROM customers ORDER BY 总数",
    "SELECT count ( * ) , min ( price ) FROM products",
]
FORMS = {
    "sqlite": [
        "SELECT strftime('%Y', joined), date('now', '-1 year'), julianday('now') - julianday(joined) FROM customers",
        "SELECT name FROM customers WHERE joined >= date('now', 'start of month', '-1 month')",
        "SELECT group_concat(name), group_concat(DISTINCT country), group_concat(name, '; '), total(id) FROM customers",
        "SELECT country, count(*) FILTER (WHERE active) FROM customers GROUP BY country",
        "SELECT sum(country = 'FR') * 100.0 / count(*) FROM customers",
        "SELECT `name`, \"country\" FROM `customers` WHERE name = 'x' COLLATE NOCASE ORDER BY name COLLATE NOCASE",
        "SELECT CAST(price AS INTEGER), max(price, 3), iif(price > 3, 'dear', 'cheap'), printf('%.2f', price)"
        " FROM products",
        "SELECT name FROM customers WHERE name GLOB 'A*' LIMIT 5, 3",
        "SELECT country, count(*) AS \"How many\" FROM customers GROUP BY country ORDER BY \"How many\"",
        "SELECT name FROM customers FULL JOIN orders ON customers.id = orders.customer_id",
        "SELECT max(num_orders) FROM (SELECT count(*) AS num_orders FROM orders GROUP BY customer_id)",
    ],
    "duckdb": [
        "SELECT name, price FROM products QUALIFY row_number() OVER (PARTITION BY category ORDER BY price DESC) <= 2",
        "SELECT name, rank() OVER (ORDER BY price) AS r FROM products WHERE price > 1 QUALIFY r = 1 ORDER BY r LIMIT 3",
        "SELECT country, count(*) FROM customers GROUP BY country QUALIFY rank() OVER (ORDER BY count(*) DESC) = 1",
        "WITH w AS (SELECT name, rank() OVER (ORDER BY price) AS r FROM products QUALIFY r < 3) SELECT name FROM w",
        "SELECT try_cast(name AS integer), regexp_replace(name, 'o', '0', 'g') FROM products",
        "SELECT median(price), stddev(price), quantile_cont(price, 0.9), mode(category), arg_max(name, price)"
        " FROM products",
        "SELECT string_agg(name, ', ' ORDER BY name), string_agg(DISTINCT country, ','), list(name) FROM customers",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY price) FROM products",
        "SELECT country, count(*) FILTER (WHERE active) AS busy FROM customers GROUP BY country HAVING busy > 1",
        "SELECT name FROM customers WHERE name ILIKE '%a%' AND joined > current_date - INTERVAL '1 year'",
        "SELECT name FROM customers WHERE joined + INTERVAL 3 MONTHS < DATE '2024-01-01'",
        "SELECT extract(year FROM joined), date_trunc('month', joined), year(joined), strftime(joined, '%Y-%m')"
        " FROM customers",
        "SELECT date_diff('day', joined, current_date), dayname(joined), date_part('dow', joined) FROM customers",
        "SELECT price::integer, CAST(price AS DECIMAL(10, 1)), price::varchar || '!' FROM products",
        "SELECT name FROM customers FULL OUTER JOIN orders ON customers.id = orders.customer_id",
        "SELECT \"name\" FROM \"customers\" WHERE id > ALL (SELECT customer_id FROM orders)",
        "SELECT max(num_orders) FROM (SELECT count(*) AS num_orders FROM orders GROUP BY customer_id)",
        "(SELECT name FROM customers LIMIT 1) UNION ALL (SELECT name FROM products LIMIT 1)",
        "SELECT country, count(*) AS \"How many\" FROM customers GROUP BY country ORDER BY \"How many\"",
    ],
    "postgres": [
        "SELECT stddev(price), variance(price), percentile_cont(0.5) WITHIN GROUP (ORDER BY price) FROM products",
        "SELECT mode() WITHIN GROUP (ORDER BY category) FROM products",
        "SELECT string_agg(name, ', ' ORDER BY name), string_agg(DISTINCT country, ','), array_agg(name) FROM"
        " customers",
        "SELECT json_agg(name), bool_or(active) FROM customers",
        "SELECT country, count(*) FILTER (WHERE active) AS busy FROM customers GROUP BY country ORDER BY busy"
        " DESC NULLS LAST",
        "SELECT name FROM customers WHERE name ILIKE '%a%' AND joined > current_date - INTERVAL '1 year'",
        "SELECT name FROM customers WHERE joined + INTERVAL '3' MONTH < DATE '2024-01-01' AND name ~* '^a'",
        "SELECT extract(year FROM joined), date_trunc('month', joined), to_char(joined, 'YYYY-MM') FROM customers",
        "SELECT age(joined), date_part('year', joined), now() - joined FROM customers",
        "SELECT price::integer, price::numeric(10, 1), round(price::numeric, 1), CAST(price AS double"
        " precision) FROM products",
        "SELECT name FROM customers FULL OUTER JOIN orders ON customers.id = orders.customer_id",
        "SELECT \"name\" FROM \"customers\" WHERE id > ALL (SELECT customer_id FROM orders)",
        "(SELECT name FROM customers LIMIT 1) UNION ALL (SELECT name FROM products LIMIT 1)",
        "SELECT initcap(name), split_part(name, ' ', 1), concat(name, '-', country), greatest(id, 2) FROM customers",
        "SELECT country, count(*) AS \"How many\" FROM customers GROUP BY country ORDER BY \"How many\"",
    ],
    "mysql": [
        "SELECT stddev(price), variance(price), std(price) FROM products",
        "SELECT group_concat(DISTINCT name ORDER BY name DESC SEPARATOR '; '), group_concat(country) FROM customers",
        "SELECT name FROM customers WHERE joined > current_date - INTERVAL 1 YEAR",
        "SELECT name FROM customers WHERE joined >= date_sub(curdate(), INTERVAL 30 DAY) AND name REGEXP '^A'",
        "SELECT extract(year FROM joined), year(joined), date_format(joined, '%Y-%m'), monthname(joined) FROM"
        " customers",
        "SELECT datediff(now(), joined), timestampdiff(YEAR, joined, curdate()) FROM customers",
        "SELECT sum(country = 'FR') * 100.0 / count(*) FROM customers",
        "SELECT if(price > 3, 'dear', 'cheap'), CAST(price AS SIGNED), price DIV 2, ifnull(price, 0) FROM products",
        "SELECT `name` FROM `customers` LIMIT 5, 3",
        "SELECT country, count(*) AS busy FROM customers GROUP BY country HAVING busy > 1",
        "(SELECT name FROM customers LIMIT 1) UNION ALL (SELECT name FROM products LIMIT 1)",
        "SELECT count(DISTINCT name, country), substring_index(min(name), ' ', 1) FROM customers",
        "SELECT country, count(*) AS `How many` FROM customers GROUP BY country ORDER BY `How many`",
    ],
}  # fmt: skip

NOT_THERE = {
    "sqlite": [
        "SELECT name FROM customers WHERE name ILIKE 'a'",
        "SELECT price::integer FROM products",
        "SELECT string_agg(name, ',') FROM customers",
        "SELECT median(price) FROM products",
        "SELECT name FROM customers WHERE joined > current_date - INTERVAL '1 year'",
        "SELECT extract(year FROM joined) FROM customers",
        "SELECT year(joined) FROM customers",
        "(SELECT name FROM customers LIMIT 1) UNION ALL (SELECT name FROM products LIMIT 1)",
    ],
    "duckdb": ["SELECT iif(price > 3, 1, 2) FROM products", "SELECT to_char(joined, 'YYYY') FROM customers"],
    "postgres": [
        "SELECT group_concat(name) FROM customers",
        "SELECT median(price) FROM products",
        "SELECT name FROM customers WHERE name GLOB 'A*'",
        "SELECT year(joined) FROM customers",
        "SELECT country, count(*) AS busy FROM customers GROUP BY country HAVING busy > 1",
        "SELECT name FROM customers LIMIT 5, 3",
        "SELECT max(num_orders) FROM (SELECT count(*) AS num_orders FROM orders GROUP BY customer_id)",
        "SELECT `name` FROM customers",
    ],
    "mysql": [
        "SELECT name FROM customers WHERE name ILIKE 'a'",
        "SELECT price::integer FROM products",
        "SELECT string_agg(name, ',') FROM customers",
        "SELECT count(*) FILTER (WHERE active) FROM customers",
        "SELECT name FROM customers FULL JOIN orders ON customers.id = orders.customer_id",
        "SELECT name || country FROM customers",
        "SELECT name FROM customers ORDER BY name NULLS LAST",
        "SELECT max(num_orders) FROM (SELECT count(*) AS num_orders FROM orders GROUP BY customer_id)",
        'SELECT "name" FROM customers',
    ],
}

INVENTED = [
    "SELECT surname AS family FROM customers",
    "SELECT name AS n FROM customers WHERE surname = 'x'",
    "SELECT revenue FROM products",
    "SELECT sum(revenue) AS total FROM products",
    "SELECT name FROM products ORDER BY revenue",
    "SELECT count(*) FROM customers GROUP BY surname",
    "SELECT C.surname FROM customers AS C",
    "SELECT clients.name FROM customers AS clients",
    "SELECT max(order_count) FROM orders",
    "SELECT max(parcel_count) FROM (SELECT count(*) AS parcel_count FROM orders GROUP BY customer_id) AS per_customer",
    "SELECT name FROM customers clientele",
    "SELECT name AS n FROM clients",
    "SELECT customers.* FROM clients",
    "SELECT count(*) FROM (SELECT name FROM customers) AS c JOIN clients ON c.name = clients.name",
    "SELECT count(*) FROM (SELECT name FROM customers) AS c, clients",
    "SELECT name FROM customers JOIN orders USING (order_number)",
    "SELECT name AS select FROM customers",
    "SELECT name FROM customers AS where",
]


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary(train_tokenizer(["SELECT name FROM customers\n", "总数"], 300))


@pytest.fixture(scope="module")
def accepts(vocabulary):
    tables = tuple(Table(name, tuple(map(Column, columns))) for name, columns in TABLES.items())
    constraints = {d: Constraint(vocabulary, sql_grammar(Schema("shop", tables, d))) for d in DIALECTS}
    # as bytes: the vocabulary's first pieces after the three special ones
    return lambda sql, dialect: constraints[dialect].accepts([3 + byte for byte in sql.encode()])


ALL = [(dialect, sql) for dialect in DIALECTS for sql in [*EVERYWHERE, *FORMS[dialect]]]


@pytest.mark.parametrize(("dialect", "sql"), ALL)
def test_the_grammar_has_the_form_and_it_may_run(accepts, dialect, sql):
    assert accepts(sql, dialect)
    assert check_read_only(sql, dialect)


@pytest.mark.parametrize(("dialect", "sql"), [(d, sql) for d in DIALECTS for sql in [*NOT_THERE[d], *INVENTED]])
def test_what_the_engine_or_the_schema_has_not_is_refused(accepts, dialect, sql):
    assert not accepts(sql, dialect)


def calls(dialect):
    """A call of every function and aggregate that the grammar has, with as many arguments as it needs."""
    written = {"e": "name", "s": "'x'", "u": "day"}
    for key, names in ENGINES[dialect].forms.functions.items():
        arguments = ", ".join(written[kind] for kind in re.sub(r".[?*]", "", key))
        yield from (f"{name}({arguments})" for name in names.split())
    shapes = {
        "AGGREGATE": "{}(name)",
        "TEXT_AGGREGATE": "{}(name, ',')",
        "LIST_AGGREGATE": "{}(name)",
        "PAIR_AGGREGATE": "{}(name, id)",
        "ORDERED_AGGREGATE": "{}(0.5) WITHIN GROUP (ORDER BY id)",
        "MODE": "{}() WITHIN GROUP (ORDER BY id)",
        "QUANTILE": "{}(0.5)(id)",
        "COUNT_IF": "{}(active)",
        "DATE_ADD": "{}(joined, INTERVAL 1 DAY)",
        "DATE_DIFF": "{}(DAY, joined, joined)",
    }
    if dialect in ("trino", "oracle"):
        shapes["TEXT_AGGREGATE"] += " WITHIN GROUP (ORDER BY id)"
    if dialect == "tsql":
        shapes["ORDERED_AGGREGATE"] += " OVER (PARTITION BY id)"
    for shape, names in ENGINES[dialect].forms.aggregates.items():
        for name in names.split():
            yield shapes[shape].format(name)


@pytest.mark.parametrize(("tables", "quoted"), [(20, True), (1000, False)])
def test_names_in_needless_quotes_are_taken_and_a_large_schema_still_has_a_grammar(vocabulary, tables, quoted):
    schema = Schema(
        "large", tuple(Table(f"t{i}", tuple(Column(f"c{i}_{j}") for j in range(12))) for i in range(tables))
    )
    constraint = Constraint(vocabulary, sql_grammar(schema))

    def accepts(sql):
        return constraint.accepts([3 + byte for byte in sql.encode()])

    assert accepts("SELECT c7_3 FROM t7 WHERE t7.c7_11 > 1")
    assert accepts('SELECT "c7_3" FROM `t7`') == quoted
    assert not accepts("SELECT c7_12 FROM t7")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_function_of_the_grammar_is_taken_and_may_be_called(accepts, dialect):
    for call in calls(dialect):
        sql = f"SELECT {call} FROM customers"
        assert accepts(sql, dialect) or call.split("(")[0] in without_mathematics(), sql
        assert check_read_only(sql, dialect)


def without_mathematics():
    """Functions that this SQLite was built without."""
    with closing(sqlite3.connect(":memory:")) as connection:
        known = {name for (name,) in connection.execute("SELECT name FROM pragma_function_list")}
    return {name for names in ENGINES["sqlite"].forms.functions.values() for name in names.split()} - known


@pytest.mark.parametrize("dialect", DIALECTS)
def test_words_that_engines_keep_for_themselves_are_no_names_of_a_query(accepts, dialect):
    engine = ENGINES[dialect]
    for word in {*RESERVED.split(), *engine.reserved, *engine.forms.no_names.split()}:
        assert not accepts(f"SELECT count(*) AS {word} FROM customers", dialect), word
        assert not accepts(f"SELECT count(*) FROM customers {word}", dialect), word


def test_duckdb_and_sqlite_take_the_names_that_the_grammar_lets_a_query_make(accepts):
    duckdb = pytest.importorskip("duckdb", reason="needs the sql extra")
    with duckdb.connect() as connection:
        words = [word for (word,) in connection.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()]
        taken = [
            word for word in words if accepts(f"SELECT count(*) AS {word} FROM customers ORDER BY {word}", "duckdb")
        ]
        assert len(taken) > 100
        for word in taken:
            connection.execute(f"SELECT 1 AS {word} ORDER BY {word}")
            connection.execute(f"SELECT {word}.a FROM (SELECT 1 AS a) AS {word}")
    with closing(sqlite3.connect(":memory:")) as connection:
        for word in words:
            if accepts(f"SELECT count(*) AS {word} FROM customers", "sqlite"):
                connection.execute(f"SELECT {word}.{word} FROM (SELECT 1 AS {word}) AS {word} ORDER BY {word}")


def created():
    for name, columns in TABLES.items():
        yield f"CREATE TABLE {name} ({', '.join(f'{column} {kind}' for column, kind in columns.items())})"


def test_sqlite_runs_its_forms():
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in created():
            connection.execute(statement)
        assert failures("sqlite", connection.execute) == []


def test_duckdb_runs_its_forms():
    duckdb = pytest.importorskip("duckdb", reason="needs the sql extra")
    with duckdb.connect() as connection:
        for statement in created():
            connection.execute(statement)
        assert failures("duckdb", connection.execute) == []


def test_postgres_runs_its_forms_and_takes_the_names_that_a_query_may_make(accepts):
    psycopg = pytest.importorskip("psycopg", reason="needs the sql extra")
    if servers.postgres_programs() is None:
        pytest.skip("NOT TESTED: PostgreSQL runs its forms, as no server is installed: apt install postgresql")
    with servers.postgres() as url, psycopg.connect(url, autocommit=True) as connection:
        for statement in created():
            connection.execute(statement)
        assert failures("postgres", connection.execute) == []
        words = connection.execute("SELECT word FROM pg_get_keywords()").fetchall()
        taken = [word for (word,) in words if accepts(f"SELECT count(*) AS {word} FROM customers", "postgres")]
        assert len(taken) > 100
        for word in taken:
            connection.execute(f"SELECT {word}.{word} FROM (SELECT 1 AS {word}) AS {word} ORDER BY {word}")


def failures(dialect, execute):
    found = []
    for sql in [*EVERYWHERE, *FORMS[dialect]]:
        try:
            execute(sql)
            execute(check_read_only(sql, dialect))
        except Exception as error:
            found.append((sql, str(error).splitlines()[0]))
    return found
