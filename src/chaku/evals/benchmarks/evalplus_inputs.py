"""Restores the types of MBPP+'s inputs as EvalPlus does: JSON has no tuples, sets or complex numbers."""

from collections.abc import Callable, Sequence
from typing import Any

Arguments = list[Any]


def _at_depth(depth: int) -> Callable[[Arguments], Sequence[Any]]:
    """Makes a function that turns all lists `depth` levels down into tuples."""

    def restore(value: Any, level: int = 0) -> Any:
        if level == depth:
            return tuple(value)
        return [restore(item, level + 1) for item in value]

    return restore


def _first(arguments: Arguments) -> Arguments:
    return [tuple(arguments[0]), *arguments[1:]]


def _items_of_first(arguments: Arguments) -> Arguments:
    return [[tuple(argument) for argument in arguments[0]], *arguments[1:]]


def _second(arguments: Arguments) -> Arguments:
    return [arguments[0], tuple(arguments[1])]


def _two_levels(arguments: Arguments) -> Arguments:
    return [tuple(tuple(item) for item in argument) for argument in arguments]


def _everywhere(value: Any) -> Any:
    return tuple(map(_everywhere, value)) if isinstance(value, list) else value


def _sets(arguments: Arguments) -> Arguments:
    return [[set(argument) if isinstance(argument, list) and argument else {} for argument in arguments[0]]]


def _nested(arguments: Arguments) -> Arguments:
    return [tuple(tuple(argument) if isinstance(argument, list) else argument for argument in arguments[0])]


def _values(arguments: Arguments) -> Arguments:
    return [{key: tuple(value) for key, value in arguments[0].items()}, *arguments[1:]]


# fmt: off
FORMS: list[tuple[Callable[[Arguments], Sequence[Any]], tuple[int, ...]]] = [
    (_at_depth(1), (2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726, 740,
                    744, 809)),
    (_at_depth(2), (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780)),
    (_items_of_first, (75, 413, 444, 753)),
    (_second, (106, 750)),
    (_first, (250, 307, 405, 446, 617, 720, 763, 808)),
    (_two_levels, (259, 401, 445)),
    (_everywhere, (580, 615, 791)),
    (_sets, (115,)),
    (_nested, (278,)),
    (_values, (722,)),
    (lambda arguments: [float(arguments[0]), complex(arguments[1])], (124,)),
    (lambda arguments: [complex(arguments[0])], (252,)),
]
# fmt: on
BY_NUMBER = {f"Mbpp/{number}": form for form, numbers in FORMS for number in numbers}


def restore_types(task_id: str, inputs: Sequence[Arguments]) -> list[Sequence[Any]]:
    """The argument lists of one problem, with their types restored."""
    form = BY_NUMBER.get(task_id)
    return [form(arguments) if form else arguments for arguments in inputs]
