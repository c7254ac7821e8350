"""Answers: near is right only where a fraction is expected, and an order is an order."""

import pytest

from chaku.evals.benchmarks.answers import same_output, same_value


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("1 2 3\n", "1 2 3"),
        ("1  2 3 \n\n", "1 2 3\n"),
        ("Yes\r\n", "Yes\n"),
        ("0.333333\n", "0.3333333333"),
        ("5.0", "5"),
        ("1e6", "1000000"),
        ("-0.0000001", "0.0"),
        ("1000000.2", "1000000.0"),
        ("9" * 40, "9" * 40),
        ("", "\n"),
    ],
)
def test_right_outputs(printed, expected):
    assert same_output(printed, expected)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("3 2 1", "1 2 3"),
        ("2\n1", "1\n2"),
        ("1000005", "1000000"),
        ("1000001", "1000000"),
        ("1000001.0", "1000000.0"),
        ("1000005.5", "1000000.0"),
        ("0.33", "0.3333333333"),
        ("1", "1 2 3"),
        ("1\n2", "1 2"),
        ("1 2 3 4", "1 2 3"),
        ("yes", "Yes"),
        ("101", "00101"),
        ("nan", "1"),
        ("1_0", "10"),
        ("9" * 39 + "8", "9" * 40),
        ("", "0"),
        ("True", "1"),
    ],
)
def test_wrong_outputs(printed, expected):
    assert not same_output(printed, expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (9, 9),
        (9.0, 9),
        ((1, (2, 3)), [1, [2, 3]]),
        ([], []),
        ({1: "a"}, {"1": "a"}),
        (0.1 + 0.2, 0.3),
        (None, None),
        (True, True),
        (2**70, 2**70),
    ],
)
def test_right_values(value, expected):
    assert same_value(value, expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, [1, 2, 3]),
        ([3, 2, 1], [1, 2, 3]),
        (1000005, 1000000),
        (1000005.0, 1000000),
        (2**70 + 1, 2**70),
        (True, 1),
        (1, True),
        ("1", 1),
        (1, "1"),
        ({1, 2}, [1, 2]),
        ([1, 2], {"0": 1}),
        (None, 0),
        ([[1], [2]], [[1], [3]]),
        (float("nan"), 1.0),
        ("ab", ["a", "b"]),
    ],
)
def test_wrong_values(value, expected):
    assert not same_value(value, expected)
