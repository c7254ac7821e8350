"""Compares an answer with the expected answer: values that a function returned, or lines that a program printed.

The sandbox executes this file's text before a candidate's tests, so it imports only the standard library. An answer in
another order, or only its first element, or a whole number that is nearly right, is wrong.
"""

import re
from decimal import Decimal
from typing import Any

TOLERANCE = 1e-6  # absolute up to 1, relative above: usual in competitions for numbers with a fraction
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
LEADING_ZERO = re.compile(r"[+-]?0\d")


def same_value(ours: Any, expected: Any) -> bool:
    """Whether a returned value equals a value from JSON: tuples count as lists, and keys as strings."""
    if isinstance(expected, bool) or isinstance(ours, bool):
        return ours is expected
    if isinstance(expected, int | float):
        return isinstance(ours, int | float) and _near(Decimal(ours), Decimal(expected))
    if isinstance(expected, list):
        if not isinstance(ours, list | tuple) or len(ours) != len(expected):
            return False
        return all(same_value(*pair) for pair in zip(ours, expected, strict=True))
    if isinstance(expected, dict):
        if not isinstance(ours, dict) or len(ours) != len(expected):
            return False
        named = {str(key): value for key, value in ours.items()}
        return all(key in named and same_value(named[key], value) for key, value in expected.items())
    return type(ours) is type(expected) and bool(ours == expected)


def same_output(ours: str, expected: str) -> bool:
    """Whether a program's output has the expected lines of words. Numbers are compared as numbers.

    Ignores blank lines, and the amount of white space between words and at the ends of lines.
    """
    one, other = ([words for line in text.splitlines() if (words := line.split())] for text in (ours, expected))
    return len(one) == len(other) and all(
        len(line) == len(right) and all(map(_same_word, line, right)) for line, right in zip(one, other, strict=True)
    )


def _same_word(ours: str, expected: str) -> bool:
    if ours == expected:
        return True
    if not NUMBER.fullmatch(ours) or not NUMBER.fullmatch(expected):
        return False
    if LEADING_ZERO.match(ours) or LEADING_ZERO.match(expected):  # digits but not a number: a code, binary
        return False
    return _near(Decimal(ours), Decimal(expected))


def _near(ours: Decimal, expected: Decimal) -> bool:
    """Whether two numbers are equal; or close, when one of them has a fraction."""
    if not ours.is_finite() or not expected.is_finite():
        return str(ours) == str(expected)
    if ours == expected or (ours == ours.to_integral_value() and expected == expected.to_integral_value()):
        return ours == expected
    return float(abs(ours - expected)) <= TOLERANCE * max(1.0, abs(float(expected)))
