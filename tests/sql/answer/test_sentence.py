"""The sentence of an answer: the right template, in the right language, with nothing that the rows do not say."""

import re
from decimal import Decimal

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from hypothesis import given
from hypothesis import strategies as st

from chaku.sql.answer.language import PHRASES, language_of
from chaku.sql.answer.sentence import cell_text, sentence
from chaku.sql.execute.runner import Result


def said(question, sql, columns, *rows, truncated=False):
    return sentence(question, sql, Result("ok", "", columns, [*rows], truncated))


@pytest.mark.parametrize(
    ("sql", "columns", "rows", "expected"),
    [
        ("SELECT count(*) FROM customers", ["n"], [(4,)], "The number of customers is 4."),
        (
            "SELECT count(*) FROM customers AS T1 WHERE T1.country = 'United Kingdom'", ["count(*)"], [(2,)],
            "The number of customers is 2 (where T1.country = 'United Kingdom').",
        ),
        ("SELECT count(*) FROM customer", ["n"], [(4,)], "The number of rows in customer is 4."),
        ("SELECT COUNT(DISTINCT city) FROM c", ["n"], [(2,)], "The number of different values of city is 2."),
        ("SELECT sum(price) FROM p", ["sum(price)"], [(Decimal("10.50"),)], "The total of price is 10.50."),
        ("SELECT avg(price) FROM p", ["avg(price)"], [(None,)], "The average of price is NULL."),
        ("SELECT max(price) FROM p", ["m"], [(12.5,)], "The largest price is 12.5."),
        ("SELECT count(*) FROM a JOIN b ON a.i = b.i", ["n"], [(7,)], "The number of rows is 7."),
        (
            "SELECT count(*) AS number_of_late_orders FROM a JOIN b ON a.i = b.i",
            ["number_of_late_orders"],
            [(7,)],
            "The number of late orders is 7.",
        ),
        ("SELECT count(*) FROM (SELECT a FROM b) AS t", ["count(*)"], [(7,)], "The value of count(*) is 7."),
        ("SELECT name FROM c WHERE id = 1", ["name"], [("Ada",)], "The value of name is Ada (where id = 1)."),
        ("SELECT * FROM c", ["name", "age"], [("Ada", 3)], "One row was found: name = Ada, age = 3."),
        (
            "SELECT name FROM c ORDER BY age DESC LIMIT 1", ["name"], [("Ada",)],
            "The first by age (the largest first) is Ada.",
        ),
        (
            "SELECT name, age FROM c ORDER BY age LIMIT 2", ["name", "age"], [("Ada", 3), ("Bo", 4)],
            "The first 2 by age (the smallest first) are Ada (3), Bo (4).",
        ),
        (
            "SELECT country, count(*) FROM c GROUP BY country", ["country", "n"], [("Peru", 12), (None, 2), ("X", 3)],
            "The number of rows in c goes from 2 (NULL) to 12 (Peru) over 3 values of country.",
        ),
        (
            "SELECT avg(weight), kind FROM pets GROUP BY kind", ["avg(weight)", "kind"], [(2.5, "cat"), (7, "dog")],
            "The average of weight goes from 2.5 (cat) to 7 (dog) over 2 values of kind.",
        ),
        (
            "SELECT name, age FROM c GROUP BY city", ["name", "age"], [("a", 1), ("b", 2)],
            "2 rows were found (name, age): a (1), b (2).",
        ),
        (
            "SELECT name FROM c", ["name"], [(f"n{i}",) for i in range(12)],
            "12 rows were found (name): n0, n1, n2, n3, n4 and 7 more.",
        ),
        (
            "SELECT a, sum(b) FROM c GROUP BY a", ["a", "b"], [(1, Decimal("NaN")), (2, Decimal(1))],
            "2 rows were found (a, b): 1 (NaN), 2 (1).",
        ),
        ("SELECT name FROM c WHERE a = 'x'", ["name"], [], "No rows match a = 'x'."),
        ("SELECT name FROM c", ["name"], [], "There are no rows."),
        (
            "SELECT a FROM b WHERE c = 1 INTERSECT SELECT a FROM d WHERE e = 2", ["a"], [],
            "No rows match c = 1, e = 2.",
        ),
        ("no query at all", ["a"], [(1,), (2,)], "2 rows were found (a): 1, 2."),
    ],
)  # fmt: skip
def test_the_shape_of_query_and_result_chooses_the_sentence(sql, columns, rows, expected):
    assert said("What is it?", sql, columns, *rows) == expected


def test_a_cut_result_says_so_and_claims_no_largest_group():
    rows = [(f"c{i}", i) for i in range(6)]
    text = said("How many?", "SELECT a, count(*) FROM t GROUP BY a", ["a", "n"], *rows, truncated=True)
    assert text == (
        "6 rows were found (a, n): c0 (0), c1 (1), c2 (2), c3 (3), c4 (4) and 1 more. "
        "The result is cut off, so there may be more."
    )


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Wie viele Kunden gibt es in Frankreich?", "Die Anzahl von customers ist 2 (Bedingung: country = 'France')."),
        ("Combien de clients sont en France ?", "Le nombre de customers est 2 (condition : country = 'France')."),
        ("¿Cuántos clientes hay en Francia?", "El número de customers es 2 (condición: country = 'France')."),
        ("法国有多少客户？", "customers 的数量是 2（条件：country = 'France'）。"),
        ("フランスの顧客は何人ですか", "The number of customers is 2 (where country = 'France')."),
        ("Customers in France?", "The number of customers is 2 (where country = 'France')."),
    ],
)
def test_the_answer_has_the_language_of_the_question(question, expected):
    assert said(question, "SELECT count(*) FROM customers WHERE country = 'France'", ["n"], (2,)) == expected


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("Show the name of all products", "en"), ("Which singer is from Peru?", "en"), ("", "en"),
        ("Welche Produkte sind teurer als 5 Euro?", "de"), ("Umsatz pro Straße", "de"),
        ("Quels sont les produits les plus chers ?", "fr"), ("Liste des clients avec une commande", "fr"),
        ("Lista de los productos con su precio", "es"), ("¿Qué productos?", "es"), ("各城市的订单数量", "zh"),
    ],
)  # fmt: skip
def test_the_language_of_a_question(question, language):
    assert language_of(question) == language


CELLS = st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=8), st.decimals(allow_nan=False))
QUERIES = ("SELECT a, b FROM t ORDER BY b DESC LIMIT 9", "SELECT a, count(*) FROM t GROUP BY a", "SELECT a, b FROM t")


@given(
    question=st.sampled_from(["how many are there", "wie viele gibt es", "combien il y a", "cuántos hay", "多少"]),
    sql=st.sampled_from(QUERIES),
    rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8),
)
def test_every_number_in_a_sentence_is_in_the_rows_or_counts_them(question, sql, rows):
    text = said(question, sql, ["a", "b"], *rows)
    allowed = {cell_text(cell) for row in rows for cell in row}
    for cell in sorted(allowed, key=len, reverse=True):
        text = text.replace(cell, " ") if cell else text
    assert set(re.findall(r"\d+", text)) <= {str(len(rows)), str(len(rows) - 5), "1"}


def test_all_languages_have_the_same_fields():
    fields = {name: set(re.findall(r"{(\w+)}", text)) for name, text in vars(PHRASES["en"]).items()}
    for phrases in PHRASES.values():
        for name, text in vars(phrases).items():
            assert set(re.findall(r"{(\w+)}", text)) == fields[name], name
