"""Recipe settings with their range; each records whether a change of its value changes the results."""

import dataclasses
from typing import Any

from chaku.errors import ChakuError


def setting(
    default: Any = dataclasses.MISSING,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
    changes_results: bool = True,
    added_later: bool = False,
) -> Any:
    """A dataclass field with a range.

    `changes_results` is False for a setting such as a number of workers: finished work stays valid when it changes.
    `added_later`: the work of an earlier version has no such setting in its record. It stays valid while the setting
    has its default.
    """
    bounds = {"above": above, "at least": at_least, "below": below, "at most": at_most}
    metadata = {
        "bounds": {words: bound for words, bound in bounds.items() if bound is not None},
        "changes_results": changes_results,
        "added_later": added_later,
    }
    return dataclasses.field(default=default, metadata=metadata)


def check_range(field: dataclasses.Field, value: Any, where: str) -> None:
    """Raises ChakuError for a number that is not finite or lies outside the field's range. None passes."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return
    if value != value or value in (float("inf"), float("-inf")):
        raise ChakuError(f"{where} is {value}; it must be a finite number")
    bounds = field.metadata.get("bounds", {})
    inside = {
        "above": lambda bound: value > bound,
        "at least": lambda bound: value >= bound,
        "below": lambda bound: value < bound,
        "at most": lambda bound: value <= bound,
    }
    if not all(inside[words](bound) for words, bound in bounds.items()):
        wanted = " and ".join(f"{words} {bound:g}" for words, bound in bounds.items())
        raise ChakuError(f"{where} is {value}; it must be {wanted}")
