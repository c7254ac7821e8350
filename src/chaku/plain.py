"""Turns plain values (parsed TOML or JSON) into typed dataclasses, with an error for each mistake, and back."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Callable
from typing import Any, Literal

from chaku.errors import ChakuError
from chaku.settings import check_range


def from_plain(kind: Any, value: Any, where: str) -> Any:
    """Turn a plain value into the type `kind`: a dataclass, a container or a plain value. `where`: its key, for errors.

    For a union of dataclasses (`A | B`), the table becomes the first type whose first field is a key of the table, or
    else the first type. Raises ChakuError for an unknown key, a missing key, a wrong type, or a number out of range.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        first, *others = (choice for choice in arguments if choice is not type(None))
        if isinstance(value, list):  # such as `str | tuple[str, ...]`: one name, or a list of names
            first = next((choice for choice in others if typing.get_origin(choice) is tuple), first)
        if isinstance(value, dict):
            first = next((choice for choice in others if typing.get_origin(choice) is dict), first)
        tables = [choice for choice in others if dataclasses.is_dataclass(choice)] if isinstance(value, dict) else []
        matching = (choice for choice in tables if dataclasses.fields(choice)[0].name in value)
        return from_plain(next(matching, first), value, where)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass_from_table(kind, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ChakuError(f"{where} must be a list, not {value!r}")
        return tuple(from_plain(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise ChakuError(f"{where} must be a table, not {value!r}")
        return {
            _key(arguments[0], key, where): from_plain(arguments[1], item, f"{where}.{key}")
            for key, item in value.items()
        }
    if origin is Literal:
        if value not in arguments:
            raise ChakuError(f"{where} must be one of {', '.join(map(repr, arguments))}, not {value!r}")
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)  # 4e6 reads better than 4000000
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ChakuError(f"{where} must be {_IN_WORDS.get(kind, kind.__name__)}, not {value!r}")
    return value


_IN_WORDS = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}


def _key(kind: type, key: str, where: str) -> Any:
    """A key of a table, as text, as one of some names, or as a whole number: TOML and JSON have only keys of text."""
    if typing.get_origin(kind) is Literal:
        return from_plain(kind, key, f"{where}: the key {key!r}")
    try:
        return kind(key)
    except ValueError:
        raise ChakuError(f"{where} has the key {key!r}, which must be {kind.__name__}") from None


def _dataclass_from_table(kind: type, table: Any, where: str) -> Any:
    if not isinstance(table, dict):
        raise ChakuError(f"{where} must be a table, not {table!r}")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in table:
        if key not in fields:
            nearest = difflib.get_close_matches(key, fields, n=1, cutoff=0)
            raise ChakuError(f"{where}: unknown key {key!r}; the nearest known one is {nearest[0]!r}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in table:
            raise ChakuError(f"{where}: the key {name!r} is missing")
    values = {key: from_plain(hints[key], item, f"{where}: {key}") for key, item in table.items()}
    for key, value in values.items():
        check_range(fields[key], value, f"{where}: {key}")
    return kind(**values)


def to_plain(value: Any, keep: Callable[[dataclasses.Field, Any], bool]) -> Any:
    """A dataclass as plain dicts and lists, at any depth, with the fields for which `keep(field, value)` is true."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = [(field, getattr(value, field.name)) for field in dataclasses.fields(value)]
        return {field.name: to_plain(part, keep) for field, part in parts if keep(field, part)}
    if isinstance(value, dict):
        return {key: to_plain(part, keep) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(part, keep) for part in value]
    return value


def result_settings(value: Any) -> Any:
    """A dataclass as plain dicts and lists, at any depth, without the settings that change no result.

    A setting that an earlier version lacked (`added_later`) is left out too while it has its default.
    """

    def counts(field: dataclasses.Field, part: Any) -> bool:
        lacked_before = field.metadata.get("added_later", False) and part == field.default
        return field.metadata.get("changes_results", True) and not lacked_before

    return to_plain(value, counts)
