"""Judges answers of HumanEval+ and MBPP+. This file's text is part of every test, so it imports nothing from chaku.

Compares an answer with the reference solution's answer for the same input, by EvalPlus's rule (v0.3.1,
`evalplus/eval/__init__.py`): Python's `==`, for which 0 is False and 1 is 1.0; and a tolerance that, once granted to an
answer, also holds for the later answers. The strict rule accepts fewer answers: it distinguishes 0 from False, and
grants a tolerance only to floats. `ORACLES` judge the problems with several right answers, as in EvalPlus.
"""

import copy
import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

FLOAT_TOLERANCE = 1e-6  # EvalPlus's absolute tolerance for floats and lists of floats
RELATIVE_TOLERANCE = 1e-7
NUMBERS = (int, float, complex, Decimal, Fraction)  # bool is an int

Same = Callable[[Any, Any], bool]


def check_answers(
    candidate: Callable[..., Any], reference: Callable[..., Any], inputs: Any, atol: float, name: str
) -> str:
    """Describes the first answer that only EvalPlus's rule accepts, not the strict rule; empty when there is none.

    Raises AssertionError, with the input, at the first answer that EvalPlus's rule rejects.
    """
    right = ORACLES.get(name, lambda answer, expected, arguments, same: same(answer, expected))
    too_large = TOO_LARGE.get(name)
    tolerance, loose = atol, ""

    def official(answer: Any, expected: Any) -> bool:
        return equal(answer, expected) or is_near(answer, expected, tolerance)

    def strict(answer: Any, expected: Any) -> bool:
        return strictly_equal(answer, expected, atol)

    for arguments in inputs:
        if too_large and too_large(*arguments):
            continue
        expected = reference(*copy.deepcopy(arguments))
        answer = candidate(*copy.deepcopy(arguments))
        if tolerance == 0 and has_floats(expected):
            tolerance = FLOAT_TOLERANCE
        assert right(answer, expected, arguments, official), difference(name, arguments, answer, expected)
        if not loose and not right(answer, expected, arguments, strict):
            loose = difference(name, arguments, answer, expected)
    return loose


def difference(name: str, arguments: Any, answer: Any, expected: Any) -> str:
    return f"{name}{cut(tuple(arguments))} is {cut(answer)}, not {cut(expected)}"


def cut(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."


def has_floats(value: Any) -> bool:
    """Whether a value is a float, or a non-empty list or tuple of floats only."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return bool(values) and all(isinstance(item, float) for item in values)


def equal(answer: Any, expected: Any) -> bool:
    """`answer == expected` for plain data. An object of the candidate's class never equals anything."""
    if isinstance(expected, NUMBERS):
        both_nan = expected != expected and answer != answer
        return isinstance(answer, NUMBERS) and (answer == expected or both_nan)
    for kind in (list, tuple):
        if isinstance(expected, kind):
            return (
                isinstance(answer, kind)
                and len(answer) == len(expected)
                and all(equal(one, other) for one, other in zip(answer, expected, strict=True))
            )
    if isinstance(expected, dict):
        return (
            isinstance(answer, dict)
            and answer.keys() == expected.keys()
            and all(equal(answer[key], expected[key]) for key in expected)
        )
    if isinstance(expected, (set, frozenset)):
        return isinstance(answer, (set, frozenset)) and answer == expected
    return type(answer) is type(expected) and bool(answer == expected)


def is_near(answer: Any, expected: Any, tolerance: float) -> bool:
    """Whether two values of one type are close: numbers, or lists of equal length."""
    return bool(tolerance) and type(answer) is type(expected) and all_close(answer, expected, tolerance)


def all_close(answer: Any, expected: Any, tolerance: float) -> bool:
    """Like numpy.allclose, but lists must have the same shape."""
    if isinstance(expected, (int, float, complex)) and isinstance(answer, (int, float, complex)):
        # As in numpy, an infinite number is close only to itself.
        return answer == expected or abs(answer - expected) <= tolerance + RELATIVE_TOLERANCE * abs(expected) < math.inf
    return (
        isinstance(expected, (list, tuple))
        and isinstance(answer, (list, tuple))
        and len(answer) == len(expected)
        and all(all_close(one, other, tolerance) for one, other in zip(answer, expected, strict=True))
    )


def strictly_equal(answer: Any, expected: Any, atol: float) -> bool:
    """Like `equal`, but True is not 1. Grants a tolerance if the problem has one, or if floats are expected."""
    if atol == 0 and has_floats(expected):
        atol = FLOAT_TOLERANCE
    if isinstance(expected, bool) or isinstance(answer, bool):
        return type(answer) is type(expected) and answer == expected
    if isinstance(expected, (list, tuple)):
        return (
            type(answer) is type(expected)
            and len(answer) == len(expected)
            and all(strictly_equal(one, other, atol) for one, other in zip(answer, expected, strict=True))
        )
    if isinstance(expected, dict):
        return (
            isinstance(answer, dict)
            and answer.keys() == expected.keys()
            and all(strictly_equal(answer[key], expected[key], atol) for key in expected)
        )
    return equal(answer, expected) or (bool(atol) and all_close(answer, expected, atol))


def is_root(answer: Any, expected: Any, arguments: Any, same: Same) -> bool:
    """HumanEval/32: the polynomial's value at the answer is 0, to 1e-4."""
    [coefficients] = arguments
    return abs(sum(coefficient * math.pow(answer, power) for power, coefficient in enumerate(coefficients))) <= 1e-4


def as_sets(answer: Any, expected: Any, arguments: Any, same: Same) -> bool:
    return isinstance(answer, (list, tuple, set, frozenset)) and set(answer) == set(expected)


def found(answer: Any, expected: Any, arguments: Any, same: Same) -> bool:
    """The answer says, as a bool or as None or not None, whether the reference found something."""
    return bool((answer if isinstance(answer, bool) else answer is not None) == (expected is not None))


def or_zero(answer: Any, expected: Any, arguments: Any, same: Same) -> bool:
    return same(answer, expected) or same(answer, 0)


def surface(answer: Any, expected: Any, arguments: Any, same: Same) -> bool:
    """MBPP 581: the height may be the slant height or the pyramid's height."""
    edge, height = arguments
    upright = round(edge**2 + 2 * edge * math.sqrt((edge / 2) ** 2 + height**2))
    return same(answer, expected) or same(answer, upright)


def digit_distance(answer: Any, expected: Any, arguments: Any, same: Same) -> bool:
    """MBPP 558: the expected answer, or the answer with the shorter number padded with zeros."""
    one, other = map(str, arguments)
    width = max(len(one), len(other))
    filled = sum(abs(int(a) - int(b)) for a, b in zip(one.zfill(width), other.zfill(width), strict=True))
    return same(answer, expected) or same(answer, filled)


# 5 of MBPP 255's 112 inputs have answers of 100 MB to 1 GB: too large to cross between processes.
TOO_LARGE: dict[str, Callable[..., bool]] = {
    "combinations_colors": lambda colors, number: len(colors) >= 4 and number >= 76,
}
ORACLES: dict[str, Callable[[Any, Any, Any, Same], bool]] = {
    "find_zero": is_root,
    "sum_div": or_zero,
    "surface_Area": surface,
    "digit_distance_nums": digit_distance,
    **dict.fromkeys(["check_str", "text_match_three", "text_starta_endb"], found),
    **dict.fromkeys(["similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly"], as_sets),
    **dict.fromkeys(["larg_nnum", "intersection_array", "find_dissimilar", "Diff"], as_sets),
}
