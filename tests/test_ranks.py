"""A rank that ends without a word fails its test at once."""

import os

import pytest

from ranks import on_ranks


def test_a_rank_that_ends_without_an_answer_fails_the_test():
    with pytest.raises(AssertionError, match=r"ended without an answer.*0: 3"):
        on_ranks(1, os._exit, 3)
