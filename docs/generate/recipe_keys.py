"""The page of a recipe's keys: every table of `chaku.recipe.schema`, with types, defaults and ranges."""

import dataclasses
import types
import typing
from typing import Any, Literal

from chaku.recipe.schema import Recipe
from docs.generate.markdown import cell, code, table, words

INTRODUCTION = """# Keys of a recipe

Every key that a recipe knows, from the code that reads it. [The recipe file](../recipes.md) explains them in order
and with examples. An unknown key is an error that names the nearest known key. `--set TABLE.KEY=VALUE` overrides a
key on the command line.

The last column says whether a change makes finished work again. Keys with "no" change no result.
"""


def page() -> str:
    """The page, in Markdown."""
    parts = [INTRODUCTION]
    found = tables(Recipe, "")
    names = [name for name, _ in found]
    for name, kind in found:
        title = f"`[{name}]`" if name else "Top level"
        if names.count(name) > 1:  # a table of one of several kinds, which its first key tells
            title += f" with `{dataclasses.fields(kind)[0].name}`"
        parts.append(f"## {title}\n\n{words(kind.__doc__)}\n\n{keys_of(kind)}")
    return "\n".join(parts)


def keys_of(kind: type) -> str:
    """A row for every key of a table that is no table itself."""
    hints = typing.get_type_hints(kind)
    rows = [
        (
            code(field.name),
            cell(in_words(hints[field.name])),
            default_of(field),
            cell(" and ".join(f"{way} {bound:g}" for way, bound in field.metadata.get("bounds", {}).items())),
            "yes" if field.metadata.get("changes_results", True) else "no",
        )
        for field in dataclasses.fields(kind)
    ]
    return table(["key", "type", "default", "range", "makes work again"], rows)


def tables(kind: Any, name: str) -> list[tuple[str, type]]:
    """Every dataclass that a recipe can hold, with the name of its table: `stages.NAME.training`. Parents first."""
    found = [(name, kind)]
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        key = f"{name}.{field.name}".strip(".")
        for inner, below in dataclasses_in(hints[field.name]):
            for place, each in tables(inner, f"{key}{below}"):
                if each not in [known for _, known in found]:
                    found.append((place, each))
    return found


def dataclasses_in(hint: Any) -> list[tuple[type, str]]:
    """(a dataclass that the type may hold, what stands behind the key): `.NAME` for a table of tables."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return [(hint, "")]
    below = {dict: ".NAME", tuple: ""}.get(typing.get_origin(hint), "")
    return [(kind, below + more) for part in typing.get_args(hint) for kind, more in dataclasses_in(part)]


def in_words(hint: Any) -> str:
    """A type as a reader of TOML says it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(in_words(part) for part in arguments if part is not type(None)))
    if origin is Literal:
        return ", ".join(f'`"{value}"`' if isinstance(value, str) else f"`{value}`" for value in arguments)
    if origin is tuple:
        return f"list of {in_words(arguments[0])}"
    if origin is dict:
        return f"table of {in_words(arguments[1])}"
    if dataclasses.is_dataclass(hint):
        return "table"
    return {int: "whole number", float: "number", str: "text", bool: "true or false"}.get(hint, str(hint))


def default_of(field: dataclasses.Field) -> str:
    """The default as TOML; "required" without any, nothing where a key may be absent."""
    if field.default is dataclasses.MISSING:
        return "required" if field.default_factory is dataclasses.MISSING else ""
    value = field.default
    if value is None or dataclasses.is_dataclass(value) or value == ():
        return ""
    if isinstance(value, bool):
        return code(str(value).lower())
    if isinstance(value, int):
        return code(f"{value:_}")
    return code(f"{value:.4g}" if isinstance(value, float) else f'"{value}"' if isinstance(value, str) else value)
