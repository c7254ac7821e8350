"""Where benchmarks' files lie, and reading them: JSON lines or one JSON list, gzipped or not, or Parquet."""

import gzip
import json
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError


def find_file(given: Path | None, file: str, url: str) -> Path:
    """The given path, or `file` under $CHAKU_BENCHMARKS, as JSON lines, gzipped or not, or as Parquet.

    Raises ChakuError, with the URL to get the file from, where it is absent.
    """
    if given is not None:
        return given
    folder = os.environ.get("CHAKU_BENCHMARKS")
    if not folder:
        raise ChakuError(
            f"CHAKU_BENCHMARKS is not set; save {url} as SOMEWHERE/{file} and set it to SOMEWHERE, or give --problems"
        )
    found = Path(folder) / file
    stem = found.name.removesuffix(".gz").rpartition(".")[0]
    others = [found.with_name(f"{stem}{suffix}") for suffix in (".jsonl", ".jsonl.gz", ".parquet")]
    if here := next((path for path in (found, *others) if path.is_file()), None):
        return here
    raise ChakuError(f"{found} does not exist; save {url} there, or set CHAKU_BENCHMARKS to where it is")


def find_folder(folder: str, url: str) -> Path:
    """`folder` under $CHAKU_BENCHMARKS. Raises ChakuError, with the URL to get its files from, where it is absent."""
    benchmarks = os.environ.get("CHAKU_BENCHMARKS")
    if not benchmarks:
        raise ChakuError(
            f"CHAKU_BENCHMARKS is not set; save {url} in SOMEWHERE/{folder} and set it to SOMEWHERE, or give --problems"
        )
    found = Path(benchmarks) / folder
    if not found.is_dir():
        raise ChakuError(f"{found} does not exist; save {url} there, or set CHAKU_BENCHMARKS to where it is")
    return found


def read_rows(path: Path, required: Sequence[str]) -> list[dict[str, Any]]:
    """The objects of a .json (a list), .jsonl or .parquet file, gzipped or not, each with the `required` fields.

    Raises ChakuError, with the number of the line or row, for a missing, damaged or foreign file.
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


def read_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """(number, value) of each line of JSON that is not blank, each item of one JSON list, or each row; from 1.

    One JSON object over several lines is one value.
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
    """The value of a text that is one JSON object in several lines; None for JSON lines."""
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
        raise ChakuError(f"{path} cannot be read whole ({error}); get it again") from error
    return rows


def read_text(path: Path) -> str:
    """A text in UTF-8, or in UTF-16 with a byte order mark (as PowerShell writes), gzipped or not; without the mark.

    Raises ChakuError for what is absent, damaged or no text.
    """
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        return content.decode("utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except FileNotFoundError:
        raise ChakuError(f"{path} does not exist") from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ChakuError(f"{path} cannot be read whole ({error}); get it again") from error
