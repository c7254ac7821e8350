"""BLEU against values worked out by hand."""

import math

import pytest

from chaku.evals.benchmarks.bleu import bleu, tokens


def test_tokens_are_lower_case_words_and_single_signs():
    assert tokens("Returns `foo_bar`, x2.") == ["returns", "`", "foo", "_", "bar", "`", ",", "x2", "."]


def test_a_text_is_itself():
    assert bleu("Give the sum of a and b.", "give the sum  of a and b .") == pytest.approx(1)


def test_ngrams_longer_than_one_are_smoothed():
    # Of 6 words 5, of 5 pairs 3, of 4 triples 1, of 3 quadruples none: 5/6, (3+1)/(5+1), (1+1)/(4+1), (0+1)/(3+1).
    expected = (5 / 6 * 4 / 6 * 2 / 5 * 1 / 4) ** 0.25
    assert bleu("the cat sat on the mat", "the cat is on the mat") == pytest.approx(expected)


def test_repeated_words_count_as_often_as_the_reference_has_them():
    # "the" twice of four; of three pairs none, of two triples none, of one quadruple none. One token short of five.
    expected = (2 / 4 * 1 / 4 * 1 / 3 * 1 / 2) ** 0.25 * math.exp(1 - 6 / 5)
    assert bleu("the the the the", "the cat and the dog") == pytest.approx(expected)


def test_a_short_candidate_pays():
    assert bleu("the cat", "the cat is on the mat") == pytest.approx(math.exp(1 - 7 / 3))
    assert bleu("the cat is on the mat", "the cat") == pytest.approx((2 / 6 * 2 / 6 * 1 / 5 * 1 / 4) ** 0.25)


def test_nothing_in_common_and_nothing_at_all_are_zero():
    assert bleu("dog", "cat") == bleu("", "cat") == bleu("", "") == 0
