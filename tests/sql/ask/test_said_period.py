"""What a question says of time holds in the query, whatever a model wrote."""

from datetime import date

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.sql.ask.said_period import correct_period, said_period
from chaku.sql.schema.definition import Column, Schema, Table

TODAY = date(2024, 5, 31)
COLUMNS = (Column("id", "INTEGER", values=("1",)), Column("day", "TEXT", values=("'2022-07-24'", "'2023-01-02'")))
SHOP = Schema("shop", (Table("orders", (*COLUMNS, Column("amount", "REAL", values=("2.5",)))),))
IN_2022 = "day >= '2022-01-01' AND day < '2023-01-01'"
IN_2023 = IN_2022.replace("2023", "2024").replace("2022", "2023")
IN_MARCH = "day >= '2023-03-01' AND day < '2023-04-01'"


def corrected(question, condition, schema=SHOP):
    """The condition of a query after the correction, and the number of corrections."""
    sql, changes = correct_period(
        f"SELECT count(*) FROM orders WHERE {condition}", said_period(question, TODAY), schema
    )
    return sql.partition("WHERE ")[2], len(changes)


@pytest.mark.parametrize(
    ("question", "written", "right"),
    [
        ("How many orders were there in 2022?", "day = '2022-07-24'", IN_2022),
        ("How many orders were there in 2022?", "day = '2022'", IN_2022),
        ("How many orders were there in 2022?", "day > '2022-01-01'", IN_2022),
        ("How many orders above 5 in 2022?", "amount > 5 AND day = '2022-07-24'", f"amount > 5 AND {IN_2022}"),
        ("How many orders above 5 in 2022?", "amount > 5 OR day = '2022'", f"amount > 5 OR ({IN_2022})"),
        ("How many orders were there in March 2023?", "day = '2023-03-01'", IN_MARCH),
        ("How many orders were there in March 2023?", "day = '2023-03'", IN_MARCH),
        ("Wie viele Bestellungen gab es im Jahr 2022?", "day = '2022-07-24'", IN_2022),
        ("Wie viele Bestellungen gab es im März 2023?", "day = '2023-03-15'", IN_MARCH),
        ("2022年有多少订单？", "day = '2022-07-24'", IN_2022),
        ("2023年3月有多少订单？", "day = '2023-03-15'", IN_MARCH),
        ("How many orders were there in 2022?", "DATE(day) = '2022-07-24'", IN_2022),
        ("How many orders were there in 2022?", "CAST(day AS DATE) = '2022-07-24'", IN_2022),
        ("How many orders above 5 in 2022?", "amount > 5", f"amount > 5 AND ({IN_2022})"),
        ("How many orders were there last year?", "day = '2021-01-01'", IN_2023),
        ("How many orders were there last year?", "strftime('%Y', day) = '2021'", IN_2023),
        ("Wie viele Bestellungen gab es letztes Jahr?", "day = '2022'", IN_2023),
        ("去年有多少订单？", "day > '2020-01-01'", IN_2023),
        ("How many orders since 2023?", "day = '2023-01-02'", "day >= '2023-01-01'"),
        ("How many orders were there in 2022?", "strftime('%Y', day) = 2022", "STRFTIME('%Y', day) = '2022'"),
        (
            "How many orders were there in March 2023?",
            "strftime('%Y', day) = '2023' AND strftime('%m', day) = '3'",
            "STRFTIME('%Y', day) = '2023' AND STRFTIME('%m', day) = '03'",
        ),
    ],
)
def test_a_date_is_corrected_to_the_period_that_the_question_says(question, written, right):
    assert corrected(question, written) == (right, 1)


@pytest.mark.parametrize(
    ("question", "written"),
    [
        ("How many orders were there in 2022?", "strftime('%Y', day) = '2022'"),
        ("How many orders were there in 2022?", "day LIKE '2022%'"),
        ("How many orders were there in 2022?", "day BETWEEN '2022-01-01' AND '2022-12-31'"),
        ("How many orders were there in 2022?", "day >= '2022-01-01' AND day < '2023-01-01'"),
        ("How many orders were there in 2022?", "day = '2023-07-24'"),  # not in the period: another mistake
        ("How many orders were there in 2022?", "NOT day = '2022-07-24'"),
        ("How many orders were there in 2022?", "amount = '2022'"),
        ("How many orders above 5 in 2022?", "amount > 5 AND id IN (SELECT id FROM orders)"),
        ("How many orders in 2022?", "day IS NOT NULL"),
        ("How many orders on the 24th of 7 in 2022, number 24?", "day = '2022-07-24'"),
        ("How many orders were there on 2022-07-24?", "day = '2022-07-24'"),
        ("How many orders on the 24th of July 2022?", "day = '2022-07-24'"),
        ("How many orders since 2023?", "day >= '2023-01-01'"),
        ("How many orders were there last year?", "strftime('%Y', day) = '2023'"),
    ],
)
def test_other_conditions_stay_as_they_are(question, written):
    assert corrected(question, written) == (written, 0)


JOINED = Schema("shop", (*SHOP.tables, Table("customers", (Column("id", "INTEGER"), Column("name", "TEXT")))))
BIRTHS = Schema("people", (Table("people", (Column("birthday", "TEXT", values=("'1990-01-02'",)),)),))
YEARS = Schema("films", (Table("films", (Column("title"), Column("year", "INTEGER"), COLUMNS[1])),))
TWO_DATES = Schema("shop", (*SHOP.tables, Table("bills", COLUMNS)))


@pytest.mark.parametrize(
    ("schema", "written", "right"),
    [
        (SHOP, "SELECT count(*) FROM orders", f"SELECT COUNT(*) FROM orders WHERE {IN_2022}"),
        (
            SHOP,
            "SELECT strftime('%m', day), count(*) FROM orders GROUP BY 1",
            f"SELECT STRFTIME('%m', day), COUNT(*) FROM orders WHERE {IN_2022} GROUP BY 1",
        ),
        (
            JOINED,
            "SELECT name FROM orders AS o JOIN customers AS c ON o.id = c.id",
            "SELECT name FROM orders AS o JOIN customers AS c ON o.id = c.id WHERE "
            "o.day >= '2022-01-01' AND o.day < '2023-01-01'",
        ),
        (JOINED, "SELECT name FROM customers AS c LEFT JOIN orders AS o ON o.id = c.id", None),
        (JOINED, "SELECT name FROM customers", None),
        (TWO_DATES, "SELECT amount FROM orders JOIN bills ON orders.id = bills.id", None),
        (SHOP, "SELECT id FROM orders UNION SELECT amount FROM orders", None),
        (SHOP, "SELECT '2022', count(*) FROM orders", None),
        (SHOP, "SELECT a.id FROM orders AS a JOIN orders AS b ON a.id = b.id + 1", None),  # whose day?
        (BIRTHS, "SELECT count(*) FROM people", None),
        (YEARS, "SELECT title FROM films", None),
        (SHOP, "SELECT id, lag(amount) OVER (ORDER BY day) FROM orders", None),  # reads the row before
        (SHOP, "SELECT sum(day LIKE '202_-%') FROM orders", None),
        (SHOP, "SELECT count(CASE WHEN day >= date('now') THEN 1 END) FROM orders", None),
    ],
)
def test_a_period_that_a_query_left_out_is_put_in_where_one_column_can_mean_it(schema, written, right):
    sql, changes = correct_period(written, said_period("How many orders were there in 2022?", TODAY), schema)
    assert sql == (right or written)
    assert changes == (
        () if right is None else ('"2022" is taken as day 2022-01-01 to 2022-12-31, which the query left out',)
    )


@pytest.mark.parametrize(
    "question",
    [
        "How many orders are in room 2022?",
        "How many orders are above 2000 cents?",
        "How many are in order 2023-11?",
        "What share of the orders was in 2022?",
        "How many customers have no order in 2022?",
        "How many orders do we have today?",
        "Wie viele Bestellungen haben wir heute?",
        "How many orders before and after 2022?",
        "How much did orders grow in 2022?",
    ],
)
def test_no_period_is_put_in_where_the_number_may_be_no_year_or_all_rows_are_asked_for(question):
    sql = "SELECT count(*) FROM orders WHERE amount > 20"
    assert correct_period(sql, said_period(question, TODAY), SHOP) == (sql, ())


@pytest.mark.parametrize(
    "question", ["Wie viele Bestellungen gab es 2022?", "New orders for 2022", "2022年有多少订单？"]
)
def test_a_year_needs_no_preposition_of_english(question):
    assert corrected(question, "amount > 20") == (f"amount > 20 AND ({IN_2022})", 1)


@pytest.mark.parametrize(
    "question",
    [
        "How many orders on the first day of 2022?",
        "How many orders until 2022?",
        "How many orders in July of the year 2022, on the weekend?",
        "How many orders in 2022 and in 2023?",
        "Wie viele Bestellungen Ende 2022?",
        "2022年初有多少订单？",
        "How many orders from 2022 on?",
        "How many orders from 2022 onwards?",
        "How many orders in 2022 or later?",
        "How many orders starting in 2022?",
        "How many orders in summer 2022?",
        "How many orders on Christmas 2022?",
        "How many orders on New Year 2022?",
        "How many orders outside 2022?",
        "Wie viele Bestellungen ab 2022?",
        "Wie viele Bestellungen außerhalb 2022?",
        "2022年起有多少订单？",
        "从2022年开始有多少订单？",
        "How many orders are there?",
    ],
)
def test_a_question_about_a_part_of_a_period_or_about_several_is_the_models(question):
    assert said_period(question, TODAY) is None


def test_a_model_is_told_what_is_relative_to_today():
    assert said_period("How many orders last month?", TODAY).hint == "last month is 2024-04-01 to 2024-04-30;"
    assert said_period("How many orders in 2022?", TODAY).hint == ""


def test_the_correction_is_said():
    said = said_period("How many orders were there in 2022?", TODAY)
    changes = correct_period("SELECT count(*) FROM orders WHERE day = '2022-07-24'", said, SHOP)[1]
    assert changes == ("\"2022\" is taken as day 2022-01-01 to 2022-12-31, in the place of day = '2022-07-24'",)


def test_a_real_date_is_compared_with_dates_where_the_engine_needs_them():
    schema = Schema("shop", (Table("orders", (Column("id", "INTEGER"), Column("day", "DATE"))),), "trino")
    sql, count = corrected("How many orders were there in 2022?", "day = '2022-07-24'", schema)
    assert "'2022-01-01'" in sql
    assert "DATE" in sql
    assert count == 1
