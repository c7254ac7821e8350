"""Follow-ups that change a metric's query by rule: each must give the query of a whole question."""

from dataclasses import replace
from pathlib import Path

import pytest

from chaku.sql.conversation.changes import change
from chaku.sql.conversation.hearing import hear
from chaku.sql.conversation.periods import dated, time_keys
from chaku.sql.glossary.query import MetricQuery, NoAnswer, Unclear
from sql.glossary.rulebooks import TODAY

HERE, TODAY_IN_SHOP = Path(__file__).parent, TODAY["shop"]


def lines_of(name):
    return [line.split("\t") for line in (HERE / name).read_text(encoding="utf-8").splitlines()]


def read(rules, question):
    found = rules.understand(question, TODAY_IN_SHOP)
    assert isinstance(found, MetricQuery), question
    return found


@pytest.fixture
def followed(shop_rules):
    """followed(question, follow-up) -> what the follow-up makes of the question's query."""

    def one(question, text, keys=()):
        return change(read(shop_rules, question), hear(text), shop_rules, TODAY_IN_SHOP, keys)

    return one


def comparable(query):
    """A query whose filters, values and periods may come in any order."""

    def unordered(one):
        lists = (name for name in ("values", "periods") if hasattr(one, name))
        return replace(one, **{name: frozenset(getattr(one, name)) for name in lists})

    return replace(query, filters=frozenset(map(unordered, query.filters)), groups=frozenset(query.groups))


def test_a_follow_up_gives_the_query_of_the_whole_question(shop_rules, followed):
    wrong = []
    for question, text, whole in lines_of("changes.tsv"):
        found, expected = followed(question, text), read(shop_rules, whole)
        if not isinstance(found, MetricQuery) or comparable(found) != comparable(expected):
            wrong.append((question, text, found))
    assert wrong == []
    assert len(lines_of("changes.tsv")) >= 80


def test_a_follow_up_with_an_unknown_word_or_an_open_meaning_is_the_models(followed):
    found = {(question, text): followed(question, text) for question, text in lines_of("unchanged.tsv")}
    assert {case: read for case, read in found.items() if read is not None} == {}


def test_a_metric_that_cannot_keep_the_groups_says_why(followed):
    found = followed("revenue by country", "and the stock?")
    assert isinstance(found, NoAnswer)
    assert found.reason.startswith("stock cannot go on from the question before: stock does not have one customer")
    found = followed("How many cancelled orders?", "and the revenue?")
    assert "has its own condition on status" in found.reason
    assert "stock has no such date" in followed("revenue by month", "stock").reason
    contradicted = followed("revenue by country", "only returned orders")
    assert "has its own condition, which 'returned' may contradict" in contradicted.reason


def test_what_would_count_twice_is_refused(followed):
    found = followed("revenue by country", "and by category?")
    assert isinstance(found, NoAnswer)
    assert "may have several rows" in found.reason


def test_words_with_two_meanings_are_unclear(followed):
    found = followed("revenue in Germany", "and paid orders?")
    assert isinstance(found, Unclear)
    assert {reading.query.metric for reading in found.readings} == {"revenue", "number of orders"}


def test_a_month_without_a_year_means_the_years_of_the_rows(followed, shop_rules):
    keys = ["2022-03", "2022-04", "2023-03", "2024-01"]
    found = followed("revenue by month", "and March?", keys)
    assert isinstance(found, Unclear)
    assert [reading.words for reading in found.readings] == ["2022-03", "2023-03"]
    assert found.readings[1].query.filters == read(shop_rules, "revenue in March 2023").filters
    assert comparable(followed("revenue by month", "in April", keys)) == comparable(
        read(shop_rules, "revenue by month in April 2022")
    )
    assert followed("revenue by month", "in May", keys) is None


def test_words_that_are_no_months_get_no_year(shop_rules):
    before = read(shop_rules, "revenue in 2023")
    for text in (
        "may I see more",
        "marching bands",
        "dec",
        "march 2022",
        "in March of 2022",
        "2022年3月",
        "3 March 2022",
    ):
        assert dated(text, before, ()) == [text]


def test_the_units_of_time_are_read_from_the_right_column(shop_rules):
    query = read(shop_rules, "revenue by country and month")
    assert time_keys(query, [("Peru", "2022-01", 1.0), ("Peru", "2022-02", 2.0)]) == ["2022-01", "2022-02"]
    assert time_keys(read(shop_rules, "revenue by country"), [("Peru", 1.0)]) == []
