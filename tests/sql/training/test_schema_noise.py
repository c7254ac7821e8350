"""Random parts of a schema left out of training prompts, and never what the gold query uses."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.sql.execute.check import check
from chaku.sql.schema.definition import Column, Schema, Table, read_sqlite
from chaku.sql.scoring.datasets import Example
from chaku.sql.training.example_prompts import ExamplePrompts, PromptSettings
from chaku.sql.training.prepare import PrepareSettings, prepare
from chaku.sql.training.schema_noise import num_columns, with_noise
from shop_database import make_shop

QUERIES = [
    "SELECT count(*) FROM customers",
    "SELECT * FROM orders",
    "SELECT T1.* FROM products AS T1",
    "SELECT name FROM customers WHERE country = 'France' ORDER BY joined",
    "SELECT T1.title, sum(T2.quantity) FROM products AS T1 JOIN order_items AS T2 ON T1.id = T2.product_id GROUP BY 1",
    'SELECT "country" FROM customers EXCEPT SELECT category FROM products',
    "SELECT placed FROM orders NATURAL JOIN customers",
    "SELECT price * 2 FROM products WHERE category IN (SELECT country FROM customers)",
]


@pytest.fixture
def shop(tmp_path):
    return read_sqlite(make_shop(tmp_path / "shop.sqlite", "CREATE TABLE notes (title TEXT, body TEXT, joined DATE);"))


def columns(schema):
    return {(table.name, column.name) for table in schema.tables for column in table.columns}


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_keeps_all_that_it_uses_and_the_schema_its_keys(shop, query):
    used = columns(shop) if "*" in query and "count" not in query and "price" not in query else set()
    for seed in range(40):
        noisy = with_noise(shop, Example("Who?", query, "shop"), query, seed)
        assert not check(query, noisy)
        assert {("customers", "id"), ("orders", "customer_id"), ("order_items", "product_id")} <= columns(noisy)
        if used:
            table = query.split("FROM ")[1].split()[0]
            assert {pair for pair in used if pair[0] == table} <= columns(noisy)


def test_the_rest_goes_at_random_by_seed_and_question(shop):
    example = Example("How many?", QUERIES[0], "shop")
    several = [with_noise(shop, example, QUERIES[0], seed) for seed in range(40)]
    assert several == [with_noise(shop, example, QUERIES[0], seed) for seed in range(40)]
    sizes = {num_columns(schema) for schema in several}
    assert min(sizes) < num_columns(shop) // 2 + 3
    assert max(sizes) > num_columns(shop) - 3
    assert any("notes" not in {table.name for table in schema.tables} for schema in several)
    other = replace(example, question="How many are there?")
    assert [with_noise(shop, other, QUERIES[0], seed) for seed in range(40)] != several


def test_comments_and_values_go_at_random_too():
    listed = tuple(Column(f"c{number}", "TEXT", f"comment {number}", ("'x'",)) for number in range(400))
    schema = Schema("wide", (Table("t", listed),))
    noisy = with_noise(schema, Example("Who?", "SELECT * FROM t", "wide"), "SELECT * FROM t", 3)
    assert num_columns(noisy) == 400
    for kept in (sum(bool(column.comment) for column in noisy.tables[0].columns),
                 sum(bool(column.values) for column in noisy.tables[0].columns)):  # fmt: skip
        assert 150 < kept < 250


def test_prompts_are_prepared_with_noise_in_the_form_that_asking_writes(tmp_path):
    make_shop((tmp_path / "shop").mkdir() or tmp_path / "shop" / "shop.sqlite")
    examples = [Example(f"How many customers of kind {number}?", QUERIES[0], "shop") for number in range(30)]
    prompt = PromptSettings("compact", 500, link=True)
    counts = prepare(examples, tmp_path, tmp_path / "noisy.jsonl", settings=PrepareSettings(prompt, noise_seed=1))
    again = prepare(examples, tmp_path, tmp_path / "again.jsonl", settings=PrepareSettings(prompt, noise_seed=1))
    assert (tmp_path / "noisy.jsonl").read_bytes() == (tmp_path / "again.jsonl").read_bytes()
    assert counts == again
    assert counts["columns left out as noise"] > 30
    asked = ExamplePrompts(tmp_path, prompt, len)
    texts = [json.loads(line)["messages"][0]["content"] for line in (tmp_path / "noisy.jsonl").read_text().splitlines()]
    assert len({text.rsplit("\n", 2)[0] for text in texts}) > 10
    for text, example in zip(texts, examples, strict=True):
        tail = asked.prompt(example).text.splitlines()[-1]
        assert text.splitlines()[-1] == tail == f"-- {example.question}"
        assert text.startswith("customers(id")


def test_hints_never_name_a_column_that_noise_left_out(tmp_path):
    make_shop((tmp_path / "shop").mkdir() or tmp_path / "shop" / "shop.sqlite")
    asked = ExamplePrompts(tmp_path, PromptSettings("compact", 500, link=True), len)
    example = Example("How many UK customers?", QUERIES[0], "shop")
    assert "customers.country = 'United Kingdom'" in asked.prompt(example).text
    seen = set()
    for seed in range(40):
        noisy = with_noise(asked.schema("shop"), example, QUERIES[0], seed)
        text = asked.prompt(example, noisy).text
        assert ("United Kingdom" in text) == (("customers", "country") in columns(noisy))
        seen.add("United Kingdom" in text)
    assert seen == {True, False}
