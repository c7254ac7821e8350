"""Whose a directory is: chaku fills and replaces only directories that it made, or that were empty."""

from pathlib import Path

import chaku
from chaku.errors import ChakuError
from chaku.files import read_json, write_json

MARKER = ".chaku.json"  # in a directory that chaku made: as what, and by which version


def check_ours(directory: Path, kind: str) -> None:
    """Raises ChakuError where `directory` holds files and chaku did not make it as `kind` ("run", "corpus")."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise ChakuError(f"{directory} is a file, and a {kind} is a directory; name another one")
    marker = directory / MARKER
    made_as = read_json(marker).get("made_as") if marker.exists() else _made_by_an_earlier_version(directory)
    if made_as != kind and any(directory.iterdir()):
        holds = f"a {made_as} of chaku's" if made_as else "files that chaku did not make"
        raise ChakuError(f"{directory} holds {holds}, so no {kind} is written there; name a new or an empty directory")


def mark_as_ours(directory: Path, kind: str) -> None:
    """Say in `directory` that chaku made it as `kind`."""
    if not (directory / MARKER).exists():
        write_json(directory / MARKER, {"made_as": kind, "chaku": chaku.__version__})


def _made_by_an_earlier_version(directory: Path) -> str | None:
    return "run" if (directory / "recipe.json").is_file() and (directory / ".lock").is_file() else None
