"""Where benchmarks' files lie, and reading them: JSON lines or one JSON list, gzipped or not."""

import gzip
import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError


def find_file(given: Path | None, file: str, url: str) -> Path:
    """The given path, or `file` under $CHAKU_BENCHMARKS. Raises ChakuError, with the URL to get it from, if absent."""
    if given is not None:
        return given
    folder = os.environ.get("CHAKU_BENCHMARKS")
    if not folder:
        raise ChakuError(
            f"CHAKU_BENCHMARKS is not set; save {url} as SOMEWHERE/{file} and set it to SOMEWHERE, or give --problems"
        )
    found = Path(folder) / file
    if not found.is_file():
        raise ChakuError(f"{found} does not exist; save {url} there, or set CHAKU_BENCHMARKS to where it is")
    return found


def read_rows(path: Path, required: Sequence[str]) -> list[dict[str, Any]]:
    """The objects of a .json (a list) or .jsonl file, also with .gz, each with the `required` fields.

    Raises ChakuError, with the number of the line or row, for a missing, damaged or foreign file.
    """
    text = _read_text(path)
    numbered: list[tuple[str, Any]] = []
    if text.lstrip().startswith("["):
        try:
            numbered = [(f"row {number}", row) for number, row in enumerate(json.loads(text), 1)]
        except ValueError as error:
            raise ChakuError(f"{path} is not valid JSON ({error}); get it again") from error
    else:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                try:
                    numbered.append((f"line {number}", json.loads(line)))
                except ValueError as error:
                    raise ChakuError(f"{path}, line {number} is not valid JSON ({error}); get it again") from error
    for where, row in numbered:
        missing = [name for name in required if not isinstance(row, dict) or name not in row]
        if missing:
            raise ChakuError(f"{path}, {where} has no field {missing[0]!r}; a problem has {', '.join(required)}")
    if not numbered:
        raise ChakuError(f"{path} has no problems")
    return [row for _, row in numbered]


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content).decode("utf-8")
    except FileNotFoundError:
        raise ChakuError(f"{path} does not exist; give the path of a file of problems") from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ChakuError(f"{path} cannot be read whole ({error}); get it again") from error
