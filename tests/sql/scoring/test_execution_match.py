import itertools
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaku.sql.execute.lexer import tokenize
from chaku.sql.scoring.execution_match import clean, order_matters, plugged, remove_distinct, same_result


def by_trying_all(gold, predicted, ordered):
    """The rule word for word: some order of the columns makes both equal."""
    if not gold and not predicted:
        return True
    if len(gold) != len(predicted) or len(gold[0]) != len(predicted[0]):
        return False
    for order in itertools.permutations(range(len(gold[0]))):
        turned = [tuple(row[index] for index in order) for row in predicted]
        if (gold == turned) if ordered else (Counter(gold) == Counter(turned)):
            return True
    return False


cells = st.sampled_from([0, 1, 2.5, "a", "1", None])


@st.composite
def results(draw):
    num_columns = draw(st.integers(1, 4))
    rows = draw(st.lists(st.tuples(*[cells] * num_columns), max_size=5))
    order = draw(st.permutations(range(num_columns)))
    turned = [tuple(row[index] for index in order) for row in draw(st.permutations(rows))]
    if turned and draw(st.booleans()):
        row = draw(st.integers(0, len(turned) - 1))
        turned[row] = draw(st.tuples(*[cells] * num_columns))
    return rows, turned


@given(results(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_results_compare_as_the_rule_says(pair, ordered):
    gold, predicted = pair
    assert same_result(gold, predicted, ordered=ordered) == by_trying_all(gold, predicted, ordered)


def test_two_empty_results_are_equal_and_row_counts_matter():
    assert same_result([], [], ordered=True)
    assert not same_result([(1,)], [], ordered=False)
    assert not same_result([(1,), (1,)], [(1,)], ordered=False)
    assert not same_result([(1, 2)], [(1,)], ordered=False)


@pytest.mark.parametrize("num_columns", [12, 24])
@pytest.mark.parametrize("ordered", [False, True])
def test_many_columns_alike_take_no_exponential_time(num_columns, ordered):
    # Each column has each value once: nothing but the rows tells which column is which.
    gold = [tuple((row * 5 + column * 7) % 29 for column in range(num_columns)) for row in range(29)]
    predicted = [tuple(reversed(row)) for row in gold]
    wrong = [*predicted[:-2], predicted[-2][:1] + predicted[-1][1:], predicted[-1][:1] + predicted[-2][1:]]
    started = time.process_time()
    assert same_result(gold, predicted, ordered=ordered)
    assert not same_result(gold, wrong, ordered=ordered)
    assert time.process_time() - started < 2


def test_columns_of_zeros_and_ones_take_no_exponential_time():
    gold = [tuple(row >> bit & 1 for bit in range(10)) for row in range(1024)]
    started = time.process_time()
    assert same_result(gold, [tuple(reversed(row)) for row in gold], ordered=False)
    assert not same_result(gold, [*gold[:-1], gold[0]], ordered=False)
    assert time.process_time() - started < 5


def test_order_matters_when_the_gold_query_orders_anywhere():
    assert order_matters("SELECT a FROM (SELECT a FROM t Order By b)")
    assert not order_matters("SELECT a FROM t")


def test_distinct_goes_but_not_from_strings():
    assert remove_distinct("SELECT DISTINCT a, count(distinct b) FROM t WHERE c = 'distinct'") == (
        "SELECT  a, count( b) FROM t WHERE c = 'distinct'"
    )


def test_operators_in_two_pieces_are_joined():
    assert clean("SELECT a FROM t WHERE b > = 1 AND c ! = 2 ; ") == "SELECT a FROM t WHERE b >= 1 AND c != 2"


def test_gold_values_are_plugged_into_every_place():
    found = list(plugged("SELECT a FROM t WHERE b = 'x' AND c > 5", "SELECT a FROM t WHERE b = 'y' AND c > value"))
    assert found == [
        f"SELECT a FROM t WHERE b = {first} AND c > {second}" for first in ("'x'", "5") for second in ("'x'", "5")
    ]
    assert list(plugged("SELECT a FROM t", "SELECT a FROM t LIMIT 3")) == []
    assert list(plugged("SELECT a FROM t LIMIT 3", "SELECT t.value FROM t")) == ["SELECT t.value FROM t"]


@given(st.text())
def test_tokens_joined_are_the_text_again(text):
    assert "".join(token.text for token in tokenize(text)) == text


def test_tokens_have_kinds():
    kinds = [(token.kind, token.text) for token in tokenize("a.b>=1.5 -- x\n'it''s' \"n\"") if token.kind != "space"]
    assert kinds == [
        ("word", "a"),
        ("operator", "."),
        ("word", "b"),
        ("operator", ">="),
        ("number", "1.5"),
        ("comment", "-- x"),
        ("string", "'it''s'"),
        ("quoted", '"n"'),
    ]
