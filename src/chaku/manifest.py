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


def differing(before: Mapping[str, Any], now: Mapping[str, Any], within: str = "") -> list[str]:
    """`NAME was BEFORE, is now NOW` for every key whose two values differ; of a hash, `NAME changed`.

    Looks into mappings. `within`: the names of the mappings around these, each with a dot.
    """
    found = []
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differing(old, new, f"{within}{name}.")
        elif name.endswith("_sha256"):
            found.append(f"{_hashed(name)} changed")
        else:
            found.append(f"{within}{name} was {_short(old)}, is now {_short(new)}")
    return found


def _hashed(name: str) -> str:
    """The thing whose hash is recorded as `name`; a user knows tasks as problems."""
    return name.removesuffix("_sha256").replace("_", " ").replace("tasks", "problems")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
