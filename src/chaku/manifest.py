"""The manifest beside a result: the settings that made it. A result is never continued with other settings."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import chaku
from chaku.errors import ChakuError
from chaku.files import read_json, write_json


def versions() -> dict[str, str]:
    """The versions of chaku, torch and Python, which can change a result."""
    return {"chaku": chaku.__version__, "torch": version("torch"), "python": platform.python_version()}


def claim(path: Path, record: dict[str, Any]) -> None:
    """Write `record`, the settings of the completions beside `path`, or compare it with the record that is there.

    Raises ChakuError when the completions that are there were made with other settings.
    """
    if path.exists():
        if differences := differing(read_json(path), record):
            raise ChakuError(
                f"{path.parent} holds completions made with other settings: {'; '.join(differences)}. Name a new "
                "directory with --out, or remove this one"
            )
    else:
        write_json(path, record)


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """`NAME was BEFORE, is now NOW` for every key whose two values differ. Of a hash, `NAME changed`."""
    return [
        f"{_hashed(name)} changed"
        if name.endswith("_sha256")
        else f"{name} was {_short(before.get(name))}, is now {_short(now.get(name))}"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]


def _hashed(name: str) -> str:
    """The thing whose hash is recorded as `name`; a user knows tasks as problems."""
    return name.removesuffix("_sha256").replace("_", " ").replace("tasks", "problems")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
