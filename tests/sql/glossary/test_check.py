import time

import pytest

from chaku import ChakuError
from chaku.plain import from_plain
from chaku.sql.execute.parse import Refused
from chaku.sql.glossary.check import check_glossary, require_fitting
from chaku.sql.glossary.expressions import parse_aggregate, parse_condition
from chaku.sql.glossary.file import Glossary, MetricEntry, TableEntry
from chaku.sql.schema.definition import Column, Schema, Table
from chaku.sql.schema.values import ValueIndex


def metric(expression, **more):
    return {"metrics": {"m": {"expression": expression, "table": "purchase", **more}}}


@pytest.mark.parametrize(
    ("table", "mistake"),
    [
        ({"tables": {"purchases": {}}}, "tables.purchases: there is no table 'purchases'; the nearest is 'purchase'"),
        ({"tables": {"purchase": {"label": "nam"}}}, "has no column 'nam'"),
        ({"tables": {"purchase": {"date": "dy"}}}, "has no column 'dy'; the nearest is 'day'"),
        ({"tables": {"purchase": {"columns": {"staus": {}}}}}, "has no column 'staus'; the nearest is 'status'"),
        (
            {"tables": {"purchase": {"columns": {"status": {"values": {"payd": ["x"]}}}}}},
            "no value 'payd'; the nearest is 'paid'",
        ),
        ({"tables": {"purchase": {"filter": "deleted = 0"}}}, "has no column 'deleted'"),
        ({"joins": ["purchase.customer = customer.id"]}, "no purchase.customer; the nearest is 'purchase.customer_id'"),
        ({"joins": ["purchase"]}, "it is no join"),
        ({"joins": ["customer.id = purchase.customer_id"]}, "so rows would count twice"),
        (metric("sum(amont)"), "has no column 'amont'; the nearest is 'amount'"),
        (metric("sum(amount)", table="purchse"), "there is no table 'purchse'; the nearest is 'purchase'"),
        (metric("sum(amount)", date="review.stars"), "no join leads from purchase to review"),
        (metric("sum(amount)", synonyms=["by"]), "'by' cannot be a synonym, since it is a usual word of questions"),
        (metric("sum(amount)", synonyms=["<|im_start|>system"]), "'<|im_start|>system' cannot be a synonym"),
        (metric("sum(amount)", synonyms=["a\nb"]), "cannot be a synonym"),
        (metric("sum(amount)", synonyms=["x" * 101]), "cannot be a synonym"),
        (
            {"metrics": {m: {"expression": "count(*)", "table": "item", "synonyms": ["Erlös"]} for m in ("xa", "xb")}},
            "metrics.xa and metrics.xb have the same synonym 'Erlös'",
        ),
        (
            {"tables": {"customer": {"synonyms": ["buyer"]}, "employee": {"synonyms": ["Buyers"]}}},
            "tables.customer and tables.employee have the same synonym 'Buyers'",
        ),
        (
            {"tables": {"purchase": {"columns": {"day": {"synonyms": ["x"]}, "status": {"synonyms": ["x"]}}}}},
            "tables.purchase.columns.day and tables.purchase.columns.status have the same synonym 'x'",
        ),
        (
            {"tables": {"purchase": {"columns": {"status": {"values": {"paid": ["ok"], "sent": ["OK"]}}}}}},
            "values.paid and tables.purchase.columns.status.values.sent have the same synonym 'OK'",
        ),
    ],
)  # fmt: skip
def test_a_glossary_that_does_not_fit_is_told_with_the_nearest_name(shop_rules, table, mistake):
    values = shop_rules.lexicon._index
    [found] = check_glossary(from_plain(Glossary, table, "g"), shop_rules.lexicon.schema, values)
    assert mistake in found


def test_words_of_columns_in_different_tables_and_of_a_count_and_its_table_may_be_the_same(shop_schema):
    country = {"columns": {"country": {"synonyms": ["Land"]}}}
    tables = {"customer": {"synonyms": ["Kunde"], **country}, "supplier": country}
    metrics = {"Kunde": {"expression": "count(*)", "table": "customer"}}
    words = from_plain(Glossary, {"tables": tables, "metrics": metrics}, "g")
    assert check_glossary(words, shop_schema) == []


@pytest.mark.parametrize(
    "expression",
    [
        "amount",
        "sum(amount); DROP TABLE purchase",
        "sum(amount)) FROM purchase --",
        "sum(amount), (sum(id)",
        "(SELECT sum(amount) FROM purchase)",
        "sum((SELECT max(salary) FROM employee))",
        "sum(amount) OVER ()",
        "sum(employee.salary)",
        "sum(amount) + id",
        "sum(count(*))",
        "sum(load_extension('x'))",
        "sum(amount IN (SELECT id FROM item))",
        "sum(amount) AS revenue",
        "*",
        "",
        "sum(" * 5000,
    ],
)
def test_only_aggregates_over_the_tables_columns_are_metrics(shop_schema, expression):
    purchase = next(table for table in shop_schema.tables if table.name == "purchase")
    with pytest.raises(Refused):
        parse_aggregate(expression, purchase, "sqlite")


@pytest.mark.parametrize(
    "expression",
    [
        "sum(AMOUNT)",
        "count(*)",
        "count(DISTINCT customer_id)",
        "1.0 * sum(amount) / nullif(count(*), 0)",
        "sum(CASE WHEN status = 'paid' THEN amount ELSE 0 END)",
        "sum(purchase.amount * 2)",
        "sum(amount) FILTER (WHERE status = 'paid')",
    ],
)
def test_usual_aggregates_are_metrics(shop_schema, expression):
    purchase = next(table for table in shop_schema.tables if table.name == "purchase")
    assert "AMOUNT" not in parse_aggregate(expression, purchase, "sqlite").sql().replace("SUM(AMOUNT)", "")


@pytest.mark.parametrize("condition", ["sum(amount) > 1", "1 = 1", "id IN (SELECT 1)", "status = 'a'; SELECT 1"])
def test_a_filter_is_a_condition_on_one_row(shop_schema, condition):
    purchase = next(table for table in shop_schema.tables if table.name == "purchase")
    with pytest.raises(Refused):
        parse_condition(condition, purchase, "sqlite")


def test_a_join_may_end_at_a_column_that_the_data_shows_to_be_unique():
    schema = Schema("s", (Table("a", (Column("x"),)), Table("b", (Column("x"),))))
    words = Glossary(joins=("a.x = b.x",))
    assert check_glossary(words, schema, is_unique=lambda table, column: (table.name, column) == ("b", "x")) == []
    assert len(check_glossary(words, schema)) == 1


def test_an_error_has_the_first_mistakes_and_the_number_of_the_others(shop_schema):
    words = Glossary({f"no{number}": TableEntry() for number in range(20_000)})
    started = time.process_time()
    with pytest.raises(ChakuError, match=r"tables.no0: .*; and 95 more"):
        require_fitting(words, shop_schema)
    assert time.process_time() - started < 5


def test_a_large_glossary_is_read(shop_schema):
    synonyms = tuple(f"word {number}" for number in range(30_000))
    words = Glossary(metrics={"m": MetricEntry("count(*)", "purchase", synonyms=synonyms)})
    assert check_glossary(words, shop_schema, ValueIndex()) == []
