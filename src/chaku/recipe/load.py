"""Reads a recipe file, with overrides from the command line."""

import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.files import read_text
from chaku.plain import from_plain
from chaku.recipe.check import check_recipe
from chaku.recipe.family import with_grpo_lengths
from chaku.recipe.schema import Recipe


def load_recipe(path: Path, overrides: list[str] | None = None) -> Recipe:
    """Read and check a recipe. `overrides` are `key.path=value` in TOML's syntax (a bare word is a string).

    A key may begin with the name of a stage, without `stages`: `code.training.learning_rate=1e-4`.
    Raises ChakuError for a missing file, a syntax error, an unknown key (naming the nearest known one), a wrong type,
    or parts that do not fit together; the error begins with the file or, where the file alone is right, the override.
    """
    if not path.exists():
        raise ChakuError(f"the recipe {path} does not exist; recipes/ holds examples")
    try:
        table = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise ChakuError(f"{path} is not a recipe in TOML: {error}") from None
    given = overrides or []
    mistake = _mistake(table, given, str(path))
    if mistake is None:
        return _checked(table, given, str(path))
    for number in range(len(given), 0, -1):
        if _mistake(table, given[: number - 1], "") is None:  # right without this option, and with it not
            return _checked(table, given[:number], f"--set {given[number - 1]}")
    if mistake == _mistake(table, [], str(path)):
        raise ChakuError(mistake)
    return _checked(table, given, f"{path}" + "".join(f" --set {override}" for override in given))


def _mistake(table: dict[str, Any], overrides: list[str], where: str) -> str | None:
    """What is wrong with a recipe; None where nothing is."""
    try:
        _checked(table, overrides, where)
    except ChakuError as error:
        return str(error)
    return None


def _checked(table: dict[str, Any], overrides: list[str], where: str) -> Recipe:
    table = deepcopy(table)
    for override in overrides:
        _override(table, override)
    recipe = from_plain(Recipe, table, where)
    check_recipe(recipe, where)
    return with_grpo_lengths(recipe)


def _override(recipe: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ChakuError(f"--set {override!r} is not KEY=VALUE, as in --set code.training.learning_rate=1e-4")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    parts = key.strip().split(".")
    if parts[0] in recipe.get("stages", {}):
        parts.insert(0, "stages")
    table = recipe
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ChakuError(f"--set {override!r}: {part} is a value, not a table")
    table[parts[-1]] = value
