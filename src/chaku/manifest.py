"""What a result rests on, written beside it; nothing is added to a result that was made otherwise."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import chaku
from chaku.errors import ChakuError
from chaku.files import read_json, write_json


def versions() -> dict[str, str]:
    """Of what makes a number: chaku, torch, Python."""
    return {"chaku": chaku.__version__, "torch": version("torch"), "python": platform.python_version()}


def claim(path: Path, record: dict[str, Any]) -> None:
    """Say how the completions beside `path` are made, or check that the earlier ones were made so."""
    if path.exists():
        if differences := differing(read_json(path), record):
            raise ChakuError(
                f"{path.parent} holds completions that were made otherwise ({'; '.join(differences)}); give another "
                "--out, or remove it"
            )
    else:
        write_json(path, record)


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """`name: before, now` of each key whose values are not the same."""
    return [
        f"{name}: {before.get(name)!r}, now {now.get(name)!r}"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]
