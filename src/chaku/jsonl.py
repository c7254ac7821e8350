"""Read rows from files that chaku did not write: JSON lines, a JSON list or object, Parquet; gzipped or not."""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError


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
