import random

import pytest

from chaku.sql.schema.definition import Column, Dropped, ForeignKey, Schema, Table
from chaku.sql.schema.linking import link, unlinked_words
from chaku.sql.schema.values import Match

NOUNS = [
    "invoice",
    "payment",
    "shipment",
    "employee",
    "salary",
    "vendor",
    "contract",
    "ticket",
    "session",
    "asset",
    "region",
    "audit",
    "sensor",
    "alert",
]


def columns(*names):
    return tuple(Column(name, "TEXT", primary_key=name == "id") for name in names)


def key(column, table):
    return ForeignKey((column,), table, ("id",))


SHOP = (
    Table("customers", columns("id", "name", "country"), comment="people who buy; 客户"),
    Table("orders", columns("id", "customer_id", "placed"), foreign_keys=(key("customer_id", "customers"),)),
    Table(
        "order_items",
        columns("order_id", "product_id"),
        foreign_keys=(key("order_id", "orders"), key("product_id", "products")),
    ),
    Table("products", columns("id", "title", "categoryName")),
)


@pytest.fixture(scope="module")
def large():
    """1,000 tables of 20 columns around the shop's four."""
    draw = random.Random(0)
    others = [
        Table(
            f"{draw.choice(NOUNS)}_{draw.choice(NOUNS)}_{n}", columns(*(f"{draw.choice(NOUNS)}_{m}" for m in range(20)))
        )
        for n in range(996)
    ]
    return Schema("large", tuple(others[:300]) + SHOP + tuple(others[300:]))


def linked(question, schema, matches=(), max_tokens=300):
    return link(question, schema, matches, count_tokens=lambda text: len(text) // 3, max_tokens=max_tokens)


def names(found):
    return [table.name for table in found.schema.tables]


def test_a_schema_that_fits_stays_as_it_is():
    schema = Schema("shop", SHOP)
    assert linked("anything", schema, max_tokens=1000).schema == schema
    assert linked("anything", schema, max_tokens=1000).dropped == ()


def test_of_1000_tables_those_that_the_question_names_are_kept_and_the_rest_is_named(large):
    found = linked("How many orders did each customer place?", large)
    assert set(names(found)) >= {"customers", "orders"}
    assert len(found.schema.tables) <= 4
    assert len(found.dropped) == 1000 - len(found.schema.tables)
    assert found.dropped[0] == Dropped("table", large.tables[0].name)


def test_tables_between_two_that_are_named_come_along(large):
    found = linked("Which product titles did customers from France buy?", large)
    assert {"customers", "products", "orders", "order_items"} == set(names(found))


def test_a_value_of_the_question_brings_its_table_and_stands_first_in_the_prompt(large):
    match = Match(0.9, "customers", "country", "United Kingdom", "uk")
    found = linked("anything from the uk?", large, [match])
    assert names(found)[0] == "customers"
    [country] = [column for column in found.schema.tables[0].columns if column.name == "country"]
    assert country.values == ("'United Kingdom'",)


def test_words_in_comments_and_in_camel_case_count_chinese_ones_too(large):
    assert names(linked("how many people are there", large))[0] == "customers"
    assert names(linked("有多少客户", large))[0] == "customers"
    assert names(linked("the category of all things", large))[0] == "products"


def test_of_a_wide_table_the_keys_and_the_columns_asked_for_stay():
    wide = Table("readings", columns("id", *(f"sensor_{n}_value" for n in range(300)), "humidity_percent"))
    found = linked("average humidity of all readings", Schema("lab", (wide,)))
    kept = [column.name for column in found.schema.tables[0].columns]
    assert {"id", "humidity_percent"} <= set(kept)
    assert len(kept) < 20
    assert len(found.dropped) == 302 - len(kept)
    assert str(found.dropped[0]).startswith("column readings.sensor_")


def test_a_question_that_links_nothing_keeps_the_first_tables_that_fit(large):
    assert names(linked("xyzzy", large, max_tokens=500))[0] == large.tables[0].name


def test_the_budget_holds(large):
    for budget in (150, 400, 2000):
        found = linked("customers with orders of products, invoices and payments", large, max_tokens=budget)
        from chaku.sql.schema.ddl import ddl_table

        assert sum(len(ddl_table(large, table)) // 3 + 1 for table in found.schema.tables) <= budget


def test_words_that_the_schema_does_not_know_are_told_apart():
    schema = Schema("shop", SHOP)
    unknown = unlinked_words("What is the average weather tomorrow?", schema, ())
    assert (unknown.words, unknown.linked) == (("weather", "tomorrow"), False)
    assert unlinked_words("how many customers are in Atlantis", schema, ()).words == ("atlanti",)
    assert unlinked_words("how many are in the uk", schema, [Match(0.9, "t", "c", "UK", "uk")]).linked
    assert unlinked_words("有多少客户", schema, ()) is None
