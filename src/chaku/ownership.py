"""Whose a directory is: chaku fills and replaces only directories that it made, or that were empty."""

from pathlib import Path

import chaku
from chaku.errors import ChakuError
from chaku.files import read_json, write_json

EVALUATION = "evaluation"
MARKER = ".chaku.json"  # in a directory that chaku made: as what, and by which version


def check_ours(directory: Path, kind: str) -> None:
    """Raises ChakuError where `directory` holds files and chaku did not make it as `kind` ("run", "evaluation")."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise ChakuError(f"{directory} is a file, not a directory; name another path")
    marker = directory / MARKER
    made_as = read_json(marker).get("made_as") if marker.exists() else _made_by_an_earlier_version(directory)
    if made_as != kind and any(directory.iterdir()):
        holds = f"chaku's {made_as}" if made_as else "files that chaku did not make"
        raise ChakuError(f"{directory} holds {holds}: nothing is written there. Name a new or an empty directory")


def make_ours(directory: Path, kind: str) -> None:
    """Make a directory, or go on with one that chaku made; raises ChakuError as `check_ours` does."""
    check_ours(directory, kind)
    mark_as_ours(directory, kind)


def mark_as_ours(directory: Path, kind: str) -> None:
    """Say in `directory` that chaku made it as `kind`."""
    if not (directory / MARKER).exists():
        write_json(directory / MARKER, {"made_as": kind, "chaku": chaku.__version__})


# Files by which what an earlier version made is known: it left no marker.
_EARLIER = {
    "run": ("recipe.json", ".lock"),
    EVALUATION: ("results.json", "samples.jsonl"),
    "data set": ("sft.jsonl", "contamination.json"),
}


def _made_by_an_earlier_version(directory: Path) -> str | None:
    return next((kind for kind, names in _EARLIER.items() if all((directory / n).is_file() for n in names)), None)
