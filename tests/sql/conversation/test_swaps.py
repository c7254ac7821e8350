"""New values and periods in a model's query: exact where one literal fits, a choice where several do, else nothing."""

from pathlib import Path

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.sql.conversation.hearing import hear
from chaku.sql.conversation.swaps import swaps
from chaku.sql.execute.database import Database
from chaku.sql.schema.knowledge import Knowledge
from sql.glossary.rulebooks import TODAY

HERE = Path(__file__).parent
BOTH = "SELECT count(*) FROM customer WHERE country IN ('Germany', 'Italy')"
TWO_COLUMNS = """SELECT count(*) FROM customer AS c JOIN review AS r ON c.id = r.customer_id
    JOIN product AS p ON p.id = r.product_id JOIN supplier AS s ON s.id = p.supplier_id
    WHERE c.country = 'Germany' AND s.country = 'Germany'"""


def lines_of(name):
    return [line.split("\t") for line in (HERE / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def swapped(shop_rules, shop_file):
    """swapped(query, follow-up) -> the swaps."""
    with Database(str(shop_file)) as database:
        knowledge = Knowledge(database)

    def one(query, text):
        heard = hear(text)
        synonyms = shop_rules.matches(heard.plain)
        return swaps(query, heard, knowledge.schema, knowledge.values, synonyms, TODAY["shop"])

    return one


def test_the_new_value_or_period_stands_in_the_place_of_the_old_one(swapped):
    wrong = []
    for query, text, expected in lines_of("swaps.tsv"):
        if (found := [swap.sql for swap in swapped(query, text)]) != [expected]:
            wrong.append((query, text, found))
    assert wrong == []


def test_a_follow_up_that_says_more_and_a_query_that_says_it_otherwise_are_the_models(swapped):
    found = {(query, text): swapped(query, text) for query, text in lines_of("not_swapped.tsv")}
    assert {case: swap for case, swap in found.items() if swap} == {}


def test_several_literals_that_fit_are_choices(swapped):
    assert {swap.words: swap.sql.partition(" WHERE ")[2] for swap in swapped(BOTH, "and France?")} == {
        "customer.country = 'France' in the place of 'Germany'": "country IN ('France', 'Italy')",
        "customer.country = 'France' in the place of 'Italy'": "country IN ('Germany', 'France')",
        "customer.country = 'France' in the place of 'Germany' and 'Italy'": "country IN ('France')",
    }
    assert {swap.words: swap.sql.partition(" WHERE ")[2] for swap in swapped(TWO_COLUMNS, "and France?")} == {
        "customer.country = 'France' in the place of 'Germany'": "c.country = 'France' AND s.country = 'Germany'",
        "supplier.country = 'France' in the place of 'Germany'": "c.country = 'Germany' AND s.country = 'France'",
    }


def test_a_word_beside_the_value_says_which_literal_is_meant(swapped):
    [swap] = swapped(TWO_COLUMNS, "and for suppliers in France?")
    assert swap.sql.endswith("c.country = 'Germany' AND s.country = 'France'")
