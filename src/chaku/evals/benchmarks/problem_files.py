"""Finds and reads benchmarks' files: JSON lines or one JSON list, gzipped or not, or Parquet."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.jsonl import read_lines


def find_file(given: Path | None, file: str, url: str) -> Path:
    """The given path, or `file` under $CHAKU_BENCHMARKS, as JSON lines, gzipped or not, or as Parquet.

    Raises ChakuError, with the file's URL, when the file is absent.
    """
    if given is not None:
        return given
    folder = os.environ.get("CHAKU_BENCHMARKS")
    if not folder:
        raise ChakuError(
            f"CHAKU_BENCHMARKS is not set; save {url} as DIRECTORY/{file}, and export CHAKU_BENCHMARKS=DIRECTORY"
        )
    found = Path(folder) / file
    stem = found.name.removesuffix(".gz").rpartition(".")[0]
    others = [found.with_name(f"{stem}{suffix}") for suffix in (".jsonl", ".jsonl.gz", ".parquet")]
    if here := next((path for path in (found, *others) if path.is_file()), None):
        return here
    raise ChakuError(f"{found} does not exist; save {url} there, or set CHAKU_BENCHMARKS to the folder that has {file}")


def find_folder(folder: str, url: str) -> Path:
    """`folder` under $CHAKU_BENCHMARKS. Raises ChakuError, with its files' URL, when the folder is absent."""
    benchmarks = os.environ.get("CHAKU_BENCHMARKS")
    if not benchmarks:
        raise ChakuError(
            f"CHAKU_BENCHMARKS is not set; save {url} in DIRECTORY/{folder}, and export CHAKU_BENCHMARKS=DIRECTORY"
        )
    found = Path(benchmarks) / folder
    if not found.is_dir():
        raise ChakuError(f"{found} does not exist; save {url} there, or set CHAKU_BENCHMARKS to the folder that has it")
    return found


def read_rows(path: Path, required: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a .json (a list), .jsonl or .parquet file, gzipped or not. Every row has the `required` fields.

    Raises ChakuError, with the number of the line or row, for a missing or damaged file, or a file of something else.
    """
    rows = []
    for number, row in read_lines(path):
        missing = [name for name in required if not isinstance(row, dict) or name not in row]
        if missing:
            raise ChakuError(f"{path}, line {number} has no field {missing[0]!r}; a problem has {', '.join(required)}")
        rows.append(row)
    if not rows:
        raise ChakuError(f"{path} has no problems")
    return rows
