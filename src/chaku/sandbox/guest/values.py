"""Converts plain data to JSON and back. The receiver rebuilds the data without running code of the sender.

Other objects stay in their process and cross as a number; `refer` and `resolve` (`wire.py`) convert them.
"""

import base64
import re
import sys
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

PLAIN = frozenset((str, int, float, bool, type(None)))
BIG = 2**63  # larger integers cross in hexadecimal: Python reads long decimal numbers slowly, and limits them
ARRAY_TYPE = re.compile(r"[<>|=]?[biufcmMSU]\d*(\[\w+\])?|\|O")  # numpy's names of plain dtypes, and object

Refer = Callable[[Any], Any]
Resolve = Callable[[str, Any], Any]


def encode(value: Any, refer: Refer) -> Any:
    """The JSON of a value. Raises ValueError for a value that is nested too deeply, or contains itself."""
    try:
        return _encode(value, refer)
    except RecursionError:
        raise ValueError("a value is nested too deeply to hand over, or contains itself") from None


def _encode(value: Any, refer: Refer) -> Any:
    kind: Any = type(value)
    if kind in PLAIN:
        return {"i": hex(value)} if kind is int and not -BIG < value < BIG else value
    if kind in _SEQUENCES:
        return {_SEQUENCES[kind]: plain_list(value) or [_encode(item, refer) for item in value]}
    if kind in _MAPPINGS:
        return {_MAPPINGS[kind]: [[_encode(key, refer), _encode(item, refer)] for key, item in value.items()]}
    if kind in _BY_TEXT:
        return {"t": [kind.__name__, _BY_TEXT[kind][0](value)]}
    if kind in _CONSTANTS:
        return {"constant": repr(value)}
    if kind.__module__ == "numpy" and hasattr(kind, "dtype"):
        return (
            _encode_array(value, refer)
            if getattr(value, "shape", ()) or is_array(value)
            else _encode(value.item(), refer)
        )
    return refer(value)


def decode(value: Any, resolve: Resolve) -> Any:
    """The value of `encode`'s JSON. Raises ValueError, TypeError or LookupError for any other JSON."""
    if type(value) in PLAIN:
        return value
    [(tag, content)] = value.items()
    if tag in _SEQUENCE_OF:
        simple = all(type(item) in PLAIN for item in content)
        return _SEQUENCE_OF[tag](content if simple else [decode(item, resolve) for item in content])
    if tag in _MAPPING_OF:
        return _MAPPING_OF[tag]({decode(key, resolve): decode(item, resolve) for key, item in content})
    if tag == "i":
        return int(content, 16)
    if tag == "t":
        return _TEXT_TYPES[content[0]](content[1])
    if tag == "constant":
        return {repr(constant): constant for constant in _CONSTANTS.values()}[content]
    if tag == "array":
        return _decode_array(content, resolve)
    return resolve(tag, content)


def inside(value: Any) -> Any:
    """The plain value of an instance of a plain type's subclass, ignoring the subclass's methods.

    Raises TypeError for other objects.
    """
    for base, how in BASES:
        if isinstance(value, base):
            return how(value)
    raise TypeError("no plain data is inside")


def replace(place: Any, value: Any) -> None:
    """Replace the contents of a container by another's contents. Raises TypeError for another type or shape."""
    if is_array(place) and type(place) is type(value) and place.shape == value.shape:
        place[...] = value
    elif type(place) is type(value) and type(value) in _REPLACERS:
        _REPLACERS[type(value)](place, value)
    else:
        raise TypeError("not a container")


def is_container(value: Any) -> bool:
    """Whether the value is a mutable container, whose contents a called function may change."""
    return type(value) in _REPLACERS or is_array(value)


def is_array(value: Any) -> bool:
    """Whether a value is a numpy.ndarray, and not of a subclass."""
    return type(value).__module__ == "numpy" and type(value) is getattr(sys.modules.get("numpy"), "ndarray", None)


def plain_list(value: Any) -> list[Any] | None:
    """The elements as a list when JSON can hold them all as they are; None when some need encoding."""
    kinds = set(map(type, value))
    if kinds <= PLAIN and (int not in kinds or all(type(item) is not int or -BIG < item < BIG for item in value)):
        return list(value)
    return None


def _encode_array(array: Any, refer: Refer) -> Any:
    """{"array": [dtype, shape, data]}: the bytes in base 64, or a list of the elements of an object array."""
    name = array.dtype.str
    if array.dtype.names or not ARRAY_TYPE.fullmatch(name):
        raise ValueError(f"a numpy array of {array.dtype} cannot be handed over")
    if name == "|O":
        data: Any = [_encode(item, refer) for item in array.ravel().tolist()]
    else:
        data = base64.b64encode(array.tobytes()).decode()
    return {"array": [name, list(array.shape), data]}


def _decode_array(content: Any, resolve: Resolve) -> Any:
    import numpy

    name, shape, data = content
    if not ARRAY_TYPE.fullmatch(name):
        raise ValueError(name)
    if name != "|O":
        return numpy.frombuffer(bytearray(base64.b64decode(data)), numpy.dtype(name)).reshape(shape)
    array = numpy.empty(len(data), object)
    for place, item in enumerate(data):
        array[place] = decode(item, resolve)
    return array.reshape(shape)


_CONSTANTS: dict[Any, Any] = {type(constant): constant for constant in (NotImplemented, ...)}
_KEYS: Any = type({}.keys())
_VALUES: Any = type({}.values())
_ITEMS: Any = type({}.items())
_SEQUENCES: dict[Any, str] = {
    list: "l",
    tuple: "u",
    set: "s",
    frozenset: "f",
    deque: "q",
    _KEYS: "keys",
    _VALUES: "values",
    _ITEMS: "items",
}
_SEQUENCE_OF: dict[str, Any] = {tag: kind for kind, tag in _SEQUENCES.items()} | {
    "keys": lambda keys: dict.fromkeys(keys).keys(),
    "values": lambda values: dict(enumerate(values)).values(),
    "items": lambda items: dict(items).items(),
}
_MAPPINGS: dict[Any, str] = {dict: "d", Counter: "c", OrderedDict: "o"}
_MAPPING_OF: dict[str, Any] = {tag: kind for kind, tag in _MAPPINGS.items()}
# Types that cross as a text or a list of numbers: how to write it, how to read it.
_BY_TEXT: dict[Any, Any] = {
    bytes: (bytes.hex, bytes.fromhex),
    bytearray: (bytearray.hex, bytearray.fromhex),
    complex: (lambda value: [value.real, value.imag], lambda parts: complex(float(parts[0]), float(parts[1]))),
    range: (lambda value: [value.start, value.stop, value.step], lambda parts: range(*parts)),
    Decimal: (str, Decimal),
    Fraction: (lambda value: [value.numerator, value.denominator], lambda parts: Fraction(*parts)),
    datetime: (datetime.isoformat, datetime.fromisoformat),
    date: (date.isoformat, date.fromisoformat),
    time: (time.isoformat, time.fromisoformat),
    timedelta: (
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda parts: timedelta(days=parts[0], seconds=parts[1], microseconds=parts[2]),
    ),
}
_TEXT_TYPES = {kind.__name__: read for kind, (_, read) in _BY_TEXT.items()}
BASES: tuple[tuple[Any, Any], ...] = (
    (str, lambda value: str.__str__(value)),
    (int, lambda value: int.__add__(value, 0)),
    (float, lambda value: float.__add__(value, 0.0)),
    (tuple, lambda value: tuple(tuple.__iter__(value))),
    (list, lambda value: list(list.__iter__(value))),
    (dict, lambda value: dict(dict.items(value))),
    (set, lambda value: set(set.__iter__(value))),
    (frozenset, lambda value: frozenset(frozenset.__iter__(value))),
)


def _refill(place: Any, value: Any) -> None:
    place.clear()
    place.update(value)


def _rewrite(place: Any, value: Any) -> None:
    place.clear()
    place.extend(value)


_REPLACERS: dict[Any, Any] = {
    **dict.fromkeys((list, bytearray, deque), _rewrite),
    **dict.fromkeys((dict, set, Counter, OrderedDict), _refill),
}
