"""The grammar and the check of the engines that came after the first four. ClickHouse runs its forms for real."""

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.inference.constraints import Constraint, Vocabulary
from chaku.sql.ask.grammar import sql_grammar
from chaku.sql.engines.known import ENGINES
from chaku.sql.execute.check import check
from chaku.sql.execute.read_only import check_read_only
from chaku.sql.schema.definition import Column, Schema, Table
from chaku.tokens.tokenizer_training import train_tokenizer
from sql.ask.test_grammar_forms import EVERYWHERE, TABLES, calls

DIALECTS = ("clickhouse", "tsql", "snowflake", "bigquery", "trino", "redshift", "oracle")
FORMS = {
    "clickhouse": [
        "SELECT toYear(joined) AS y, count() FROM customers GROUP BY y ORDER BY y LIMIT 3",
        "SELECT toStartOfMonth(joined), countIf(active), uniq(country) FROM customers GROUP BY toStartOfMonth(joined)",
        "SELECT quantile(0.9)(price), median(price), argMax(name, price), groupArray(name) FROM products",
        "SELECT sum(price) FILTER (WHERE category = 'a') FROM products",
        "SELECT name FROM customers WHERE name ILIKE '%a%' AND joined > today() - INTERVAL 1 YEAR",
        "SELECT formatDateTime(joined, '%Y-%m'), dateDiff('day', joined, today()) FROM customers",
        "SELECT price::Int64, CAST(price AS Float64) FROM products LIMIT 5, 3",
        "SELECT name FROM products QUALIFY row_number() OVER (PARTITION BY category ORDER BY price DESC) = 1",
        "SELECT name FROM customers UNION DISTINCT SELECT name FROM staff",
        "SELECT max(num_orders) FROM (SELECT count(*) AS num_orders FROM orders GROUP BY customer_id)",
        "SELECT name FROM customers FULL OUTER JOIN orders ON customers.id = orders.customer_id",
    ],
    "tsql": [
        "SELECT TOP 3 name, price FROM products ORDER BY price DESC",
        "SELECT DISTINCT TOP (5) country FROM customers ORDER BY country",
        "SELECT name FROM products ORDER BY price OFFSET 2 ROWS FETCH NEXT 3 ROWS ONLY",
        "SELECT [name], [id] FROM [customers] WHERE name LIKE '%a%'",
        "SELECT datepart(year, joined), count(*) FROM customers GROUP BY datepart(year, joined)",
        "SELECT datediff(day, joined, getdate()), dateadd(month, 1, joined), year(joined) FROM customers",
        "SELECT name + ', ' + country, len(name), isnull(country, 'x'), iif(id > 3, 'a', 'b') FROM customers",
        "SELECT string_agg(name, ', ') WITHIN GROUP (ORDER BY name) FROM customers",
        "SELECT format(joined, 'yyyy-MM'), try_cast(name AS int), CAST(id AS nvarchar(20)) FROM customers",
        "WITH chain (id, depth) AS (SELECT id, 1 FROM staff WHERE manager_id IS NULL UNION ALL"
        " SELECT staff.id, chain.depth + 1 FROM staff JOIN chain ON staff.manager_id = chain.id) SELECT max(depth)"
        " FROM chain",
        "SELECT name FROM customers FULL OUTER JOIN orders ON customers.id = orders.customer_id",
    ],
    "snowflake": [
        "SELECT name, price FROM products QUALIFY row_number() OVER (PARTITION BY category ORDER BY price DESC) <= 2",
        "SELECT date_trunc('month', joined), count(*) FROM customers GROUP BY date_trunc('month', joined)",
        "SELECT dateadd(day, 7, joined), datediff(month, joined, current_date), to_char(joined, 'YYYY') FROM customers",
        "SELECT listagg(name, ', ') WITHIN GROUP (ORDER BY name), array_agg(country) FROM customers",
        "SELECT name FROM customers WHERE name ILIKE '%a%' AND joined > current_date - INTERVAL '1 year'",
        "SELECT iff(price > 3, 'dear', 'cheap'), nvl(price, 0), price::integer, try_cast(name AS number) FROM products",
        "SELECT name FROM customers MINUS SELECT name FROM staff",
        'SELECT "NAME" FROM "CUSTOMERS" ORDER BY name NULLS LAST LIMIT 3 OFFSET 2',
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY price), median(price) FROM products",
    ],
    "bigquery": [
        "SELECT `name` FROM `customers` WHERE name LIKE '%a%' LIMIT 3 OFFSET 2",
        "SELECT date_trunc(joined, MONTH), count(*) FROM customers GROUP BY date_trunc(joined, MONTH)",
        "SELECT date_diff(current_date, joined, DAY), extract(year FROM joined) FROM customers",
        "SELECT name FROM customers WHERE joined > date_sub(current_date, INTERVAL 1 YEAR)",
        "SELECT format_date('%Y-%m', joined), safe_divide(sum(id), count(*)), countif(active) FROM customers GROUP BY"
        " format_date('%Y-%m', joined)",
        "SELECT string_agg(name, ', ' ORDER BY name), array_agg(DISTINCT country) FROM customers",
        "SELECT safe_cast(name AS int64), CAST(id AS string) FROM customers",
        "SELECT name FROM customers UNION DISTINCT SELECT name FROM staff",
        "SELECT name FROM customers EXCEPT DISTINCT SELECT name FROM staff",
        "SELECT name FROM products QUALIFY rank() OVER (ORDER BY price DESC) = 1",
    ],
    "trino": [
        "SELECT name FROM customers ORDER BY name OFFSET 2 LIMIT 3",
        "SELECT date_trunc('month', joined), count(*) FROM customers GROUP BY date_trunc('month', joined)",
        "SELECT date_diff('day', joined, current_date), year(joined), date_format(joined, '%Y-%m') FROM customers",
        "SELECT name FROM customers WHERE joined > current_date - INTERVAL '1' YEAR AND joined < DATE '2024-01-01'",
        "SELECT listagg(name, ', ') WITHIN GROUP (ORDER BY name), array_agg(name ORDER BY id) FROM customers",
        "SELECT count(*) FILTER (WHERE active), approx_distinct(country), max_by(name, id) FROM customers",
        "SELECT try_cast(name AS integer), if(id > 3, 'a', 'b'), regexp_like(name, '^A') FROM customers",
        'SELECT "name" FROM "customers" WHERE id > ALL (SELECT customer_id FROM orders)',
    ],
    "redshift": [
        "SELECT name FROM customers WHERE name ILIKE '%a%' ORDER BY name NULLS LAST LIMIT 3 OFFSET 2",
        "SELECT dateadd(day, 7, joined), datediff(month, joined, getdate()), to_char(joined, 'YYYY-MM') FROM customers",
        "SELECT listagg(name, ', ') WITHIN GROUP (ORDER BY name) FROM customers",
        "SELECT nvl(price, 0), price::integer, median(price) FROM products",
        "SELECT name, price FROM products QUALIFY row_number() OVER (PARTITION BY category ORDER BY price DESC) <= 2",
        "SELECT date_trunc('month', joined), extract(year FROM joined) FROM customers",
    ],
    "oracle": [
        "SELECT name FROM products ORDER BY price DESC FETCH FIRST 3 ROWS ONLY",
        "SELECT name FROM products ORDER BY price OFFSET 2 ROWS FETCH NEXT 3 ROWS ONLY",
        "SELECT c.name, o.status FROM customers c JOIN orders o ON c.id = o.customer_id",
        "SELECT count(*) FROM staff boss JOIN staff worker ON worker.manager_id = boss.id",
        "SELECT to_char(joined, 'YYYY-MM'), extract(year FROM joined), add_months(joined, 1) FROM customers",
        "SELECT name FROM customers WHERE joined > sysdate - INTERVAL '1' YEAR AND joined < DATE '2024-01-01'",
        "SELECT nvl(country, 'x'), decode(country, 'FR', 'France', country), name || country FROM customers",
        "SELECT listagg(name, ', ') WITHIN GROUP (ORDER BY name) FROM customers",
        "SELECT name FROM customers MINUS SELECT name FROM staff",
        "SELECT max(num_orders) FROM (SELECT count(*) AS num_orders FROM orders GROUP BY customer_id)",
    ],
}  # fmt: skip
NOT_THERE = {
    "clickhouse": [
        "SELECT toyear(joined) FROM customers",
        "SELECT Name FROM customers",
        "SELECT name FROM customers NATURAL LEFT JOIN clients",
        "SELECT name FROM customers FINAL",
        "SELECT name FROM customers SETTINGS max_threads = 1",
    ],
    "tsql": [
        "SELECT name FROM customers LIMIT 3",
        "SELECT name FROM customers WHERE active = TRUE",
        'SELECT "name" FROM customers',
        "SELECT name || country FROM customers",
        "SELECT customers.name FROM customers JOIN products USING (id)",
        "SELECT name FROM products WHERE (category, price) IN (SELECT category, max(price) FROM products)",
        "SELECT category AS kind, count(*) FROM products GROUP BY kind",
        "WITH RECURSIVE chain (id) AS (SELECT id FROM staff) SELECT id FROM chain",
        "SELECT name FROM customers ORDER BY name NULLS LAST",
    ],
    "snowflake": [
        'SELECT "name" FROM customers',
        "SELECT `name` FROM customers",
        "SELECT count(*) FILTER (WHERE active) FROM customers",
    ],
    "bigquery": [
        "SELECT name FROM customers UNION SELECT name FROM staff",
        'SELECT "name" FROM customers',
        "SELECT id % 2 FROM customers",
        "SELECT name FROM customers WHERE name ILIKE 'a'",
    ],
    "trino": [
        "SELECT name FROM customers LIMIT 3 OFFSET 2",
        "SELECT price::integer FROM products",
        "SELECT category AS kind, count(*) FROM products GROUP BY kind",
        "SELECT name FROM customers WHERE name ILIKE 'a'",
    ],
    "redshift": [
        "SELECT count(*) FILTER (WHERE active) FROM customers",
        "SELECT string_agg(name, ',') FROM customers",
        "SELECT category AS kind, count(*) AS n FROM products GROUP BY kind HAVING n > 1",
    ],
    "oracle": [
        "SELECT name FROM customers LIMIT 3",
        "SELECT c.name FROM customers AS c",
        "SELECT name FROM customers WHERE active = TRUE",
        "SELECT name FROM customers EXCEPT SELECT name FROM staff",
        "SELECT id % 2 FROM customers",
        'SELECT "name" FROM customers',
    ],
}
# Forms of EVERYWHERE that an engine has not.
NOT_EVERYWHERE = {
    "clickhouse": ["IS NOT TRUE"],
    "tsql": ["USING", "(category, price)", "TRUE", "GROUP BY kind", "RECURSIVE", "LIMIT", "AS top", "current_date"],
    "snowflake": [],
    "bigquery": ["(category, price)", "AS 总数"],
    "trino": ["IS NOT TRUE", "GROUP BY kind"],
    "redshift": ["AS top"],
    "oracle": [
        "GROUP BY kind", "TRUE", "RECURSIVE", "LIMIT", " AS C ", "AS boss", "AS per", "AS busiest", "date ,",
        "AS share",
    ],
}  # fmt: skip


def schema_of(dialect):
    fold = ENGINES[dialect].folded
    tables = (Table(fold(name), tuple(Column(fold(one)) for one in listed)) for name, listed in TABLES.items())
    return Schema("shop", tuple(tables), dialect)


@pytest.fixture(scope="module")
def accepts():
    vocabulary = Vocabulary(train_tokenizer(["SELECT name FROM customers\n", "总数"], 300))
    constraints = {dialect: Constraint(vocabulary, sql_grammar(schema_of(dialect))) for dialect in DIALECTS}
    return lambda sql, dialect: constraints[dialect].accepts([3 + byte for byte in sql.encode()])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_forms_of_the_engine_are_accepted_and_may_run(accepts, dialect):
    schema = schema_of(dialect)
    for sql in FORMS[dialect]:
        assert accepts(sql, dialect), sql
        assert check(check_read_only(sql, dialect), schema) == [], sql


@pytest.mark.parametrize("dialect", DIALECTS)
def test_common_forms_are_accepted_where_the_engine_has_them(accepts, dialect):
    left = [sql for sql in EVERYWHERE if not any(part in sql for part in NOT_EVERYWHERE[dialect])]
    assert len(left) >= 20
    for sql in left:
        assert accepts(sql, dialect), sql
        assert check_read_only(sql, dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_forms_of_other_engines_are_refused(accepts, dialect):
    assert [sql for sql in NOT_THERE[dialect] if accepts(sql, dialect)] == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_function_of_the_grammar_may_be_called(accepts, dialect):
    for call in calls(dialect):
        sql = f"SELECT {call} FROM customers"
        assert accepts(sql, dialect), sql
        assert check_read_only(sql, dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_reserved_words_get_the_engines_quotes(accepts, dialect):
    engine = ENGINES[dialect]
    for word in ("select", "from", "order"):
        assert engine.quote(word) in check_read_only(f"SELECT {engine.quote(word)} FROM customers", dialect)
        assert not accepts(f"SELECT count(*) AS {word} FROM customers", dialect)
