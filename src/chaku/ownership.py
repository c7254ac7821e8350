"""chaku writes only into directories that it made itself or that are empty; a marker file tells them apart."""

from pathlib import Path

import chaku
from chaku.errors import ChakuError
from chaku.files import read_json, write_json

EVALUATION = "evaluation"
MARKER = ".chaku.json"  # the kind of the directory, and the version of chaku that made it


def check_ours(directory: Path, kind: str) -> None:
    """Raises ChakuError when `directory` holds files, unless chaku made it as `kind` ("run", "evaluation" ...)."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise ChakuError(f"{directory} is a file, not a directory; name another path")
    marker = directory / MARKER
    made_as = read_json(marker).get("made_as") if marker.exists() else _made_by_an_earlier_version(directory)
    if made_as != kind and any(directory.iterdir()):
        holds = f"chaku's {made_as}" if made_as else "files that chaku did not make"
        raise ChakuError(f"{directory} holds {holds}, so chaku writes nothing there. Name a new or an empty directory")


def make_ours(directory: Path, kind: str) -> None:
    """Create and mark a directory, or accept a directory that chaku made. Raises ChakuError as `check_ours` does."""
    check_ours(directory, kind)
    mark_as_ours(directory, kind)


def mark_as_ours(directory: Path, kind: str) -> None:
    """Write the marker into `directory`, unless it is there: chaku made this directory as `kind`."""
    if not (directory / MARKER).exists():
        write_json(directory / MARKER, {"made_as": kind, "chaku": chaku.__version__})


# Earlier versions wrote no marker; their directories are known by these files.
_EARLIER = {
    "run": ("recipe.json", ".lock"),
    EVALUATION: ("results.json", "samples.jsonl"),
    "data set": ("sft.jsonl", "contamination.json"),
}


def _made_by_an_earlier_version(directory: Path) -> str | None:
    return next((kind for kind, names in _EARLIER.items() if all((directory / n).is_file() for n in names)), None)
