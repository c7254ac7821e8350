"""Read rows of JSON lines, a JSON list or object, or Parquet, gzipped or not; and write JSON lines.

For files in which every line counts. `corpus/reading/rows.py` streams files of millions of rows and goes on after a
broken one.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.files import write_text


def read_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """(number, value) of every JSON line that is not blank, item of a JSON list, or Parquet row, numbered from 1.

    A file that holds one JSON object over several lines gives one value. Raises ChakuError for a file that is missing
    or damaged.
    """
    if path.suffix == ".parquet":
        yield from enumerate(_read_parquet(path), 1)
        return
    text = read_text(path)
    if text.lstrip().startswith("["):
        try:
            yield from enumerate(json.loads(text), 1)
        except ValueError as error:
            raise ChakuError(f"{path} is not valid JSON ({error}); it may be cut off") from error
        return
    if (whole := _object(text)) is not None:
        yield 1, whole
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                value = json.loads(line)
            except ValueError as error:
                raise ChakuError(f"{path}, line {number} is not valid JSON ({error}); it may be cut off") from error
            yield number, value


def read_log(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The JSON objects of a log, and the number of its other lines: a killed process may leave half a line.

    Raises OSError for a file that cannot be read.
    """
    found, broken = [], 0
    for line in filter(str.strip, path.read_text(encoding="utf-8", errors="replace").split("\n")):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            found.append(value)
        else:
            broken += 1
    return found, broken


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write a JSON object a line, atomically."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _object(text: str) -> Any:
    """The value of a text that is one JSON object over several lines; None for JSON lines."""
    if not re.match(r"\s*\{\s*\n", text):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _read_parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    except FileNotFoundError:
        raise ChakuError(f"{path} does not exist") from None
    except (OSError, pyarrow.ArrowException) as error:
        raise ChakuError(f"{path} cannot be read to its end ({error}); get the file again") from error
    return rows


def read_text(path: Path) -> str:
    """A file's text, without a byte order mark: UTF-8, or UTF-16 with a mark (as PowerShell writes), gzipped or not.

    Raises ChakuError for a file that is missing, damaged or not text.
    """
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        return content.decode("utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except FileNotFoundError:
        raise ChakuError(f"{path} does not exist") from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ChakuError(f"{path} cannot be read to its end ({error}); get the file again") from error
