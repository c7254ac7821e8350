"""How HumanEval+ and MBPP+ judge an answer. The text of this file is a part of each test: it imports nothing of chaku.

An answer is compared with the reference solution's on the same input. Other than EvalPlus's own checker, a tolerance
holds for one input only, and True is not 1. `ORACLES` are the problems with more than one right answer, as EvalPlus has
them.
"""

import copy
import math
from collections.abc import Callable
from typing import Any

FLOAT_TOLERANCE = 1e-6  # absolute, for answers that are floats or lists of them; EvalPlus's
RELATIVE_TOLERANCE = 1e-7


def check_answers(
    candidate: Callable[..., Any], reference: Callable[..., Any], inputs: Any, atol: float, name: str
) -> None:
    """Raises AssertionError, with the input, at the first answer that is not right."""
    right = ORACLES.get(name)
    too_large = TOO_LARGE.get(name)
    for arguments in inputs:
        if too_large and too_large(*arguments):
            continue
        expected = reference(*copy.deepcopy(arguments))
        answer = candidate(*copy.deepcopy(arguments))
        accepted = right(answer, expected, arguments) if right else same(answer, expected, atol)
        assert accepted, f"{name}{cut(tuple(arguments))} is {cut(answer)}, not {cut(expected)}"


def cut(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."


def same(answer: Any, expected: Any, atol: float) -> bool:
    """Whether an answer is the expected one: to a tolerance where one is given, or where floats are expected."""
    flat = expected if isinstance(expected, (list, tuple)) else [expected]
    if atol == 0 and flat and all(isinstance(each, float) for each in flat):
        atol = FLOAT_TOLERANCE
    return equal(answer, expected, atol)


def equal(answer: Any, expected: Any, atol: float) -> bool:
    if isinstance(expected, bool) or isinstance(answer, bool):
        return type(answer) is type(expected) and answer == expected
    if isinstance(expected, (int, float)) and isinstance(answer, (int, float)):
        if answer == expected or (math.isnan(answer) and math.isnan(expected)):
            return True
        # As numpy.allclose, for which an infinite number is close to none but itself.
        return bool(atol) and abs(answer - expected) <= atol + RELATIVE_TOLERANCE * abs(expected) < math.inf
    if isinstance(expected, (list, tuple)):
        return (
            type(answer) is type(expected)
            and len(answer) == len(expected)
            and all(equal(one, other, atol) for one, other in zip(answer, expected, strict=True))
        )
    if isinstance(expected, dict):
        return (
            isinstance(answer, dict)
            and answer.keys() == expected.keys()
            and all(equal(answer[key], expected[key], atol) for key in expected)
        )
    return type(answer) is type(expected) and bool(answer == expected)


def is_root(answer: Any, expected: Any, arguments: Any) -> bool:
    """HumanEval/32: any zero of the polynomial, to 1e-4."""
    [coefficients] = arguments
    return abs(sum(each * math.pow(answer, power) for power, each in enumerate(coefficients))) <= 1e-4


def as_sets(answer: Any, expected: Any, arguments: Any) -> bool:
    return isinstance(answer, (list, tuple, set, frozenset)) and set(answer) == set(expected)


def found(answer: Any, expected: Any, arguments: Any) -> bool:
    """A bool, or anything but None where the reference found something."""
    return bool((answer if isinstance(answer, bool) else answer is not None) == (expected is not None))


def or_zero(answer: Any, expected: Any, arguments: Any) -> bool:
    return same(answer, expected, 0) or same(answer, 0, 0)


def surface(answer: Any, expected: Any, arguments: Any) -> bool:
    """MBPP 581: the height may be the slant's or the pyramid's own."""
    edge, height = arguments
    upright = round(edge**2 + 2 * edge * math.sqrt((edge / 2) ** 2 + height**2))
    return same(answer, expected, 0) or same(answer, upright, 0)


def digit_distance(answer: Any, expected: Any, arguments: Any) -> bool:
    """MBPP 558: or with the shorter number filled with zeros."""
    one, other = map(str, arguments)
    width = max(len(one), len(other))
    filled = sum(abs(int(a) - int(b)) for a, b in zip(one.zfill(width), other.zfill(width), strict=True))
    return same(answer, expected, 0) or same(answer, filled, 0)


# MBPP 255 has 5 inputs, of 112, whose answers are of 100 MB to 1 GB: too much for a candidate to hand over.
TOO_LARGE: dict[str, Callable[..., bool]] = {
    "combinations_colors": lambda colors, number: len(colors) >= 4 and number >= 76,
}
ORACLES: dict[str, Callable[[Any, Any, Any], bool]] = {
    "find_zero": is_root,
    "sum_div": or_zero,
    "surface_Area": surface,
    "digit_distance_nums": digit_distance,
    **dict.fromkeys(["check_str", "text_match_three", "text_starta_endb"], found),
    **dict.fromkeys(["similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly"], as_sets),
    **dict.fromkeys(["larg_nnum", "intersection_array", "find_dissimilar", "Diff"], as_sets),
}
