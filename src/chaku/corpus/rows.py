"""Read rows of JSONL and Parquet files, plain or compressed (.gz, .zst), and of Hub data sets."""

import gzip
import io
import json
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from chaku.errors import ChakuError

MAX_LINE = 16 << 20  # characters of a line of JSON, far more than a text of the largest size takes; bounds the memory
BATCH_BYTES = 64 << 20  # rows of Parquet that are in memory together


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a file. `where`: its file and line, for messages. `problem`: why it has no value; "" for a whole row."""

    where: str
    value: Any = None
    problem: str = ""


def row_format(path: Path) -> Literal["jsonl", "parquet"] | None:
    """The format of a file of rows by its name, compressed or not; None for any other file."""
    name = path.name.removesuffix(".gz").removesuffix(".zst")
    if name.endswith(".parquet"):
        return "parquet"
    return "jsonl" if name.endswith((".jsonl", ".json", ".ndjson")) else None


def open_packed(path: Path) -> IO[bytes]:
    """Open a file to read its bytes, decompressed when its name ends in .gz or .zst."""
    if path.suffix == ".gz":
        return gzip.open(path)  # type: ignore[return-value]
    if path.suffix == ".zst":
        return pa.CompressedInputStream(str(path), "zstd")
    return path.open("rb")


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file: JSON with one row a line or with one array of rows, or Parquet.

    A line that is not JSON becomes a row with a problem. So does the unreadable rest of a damaged file: one bad row
    must not stop the use of a million others. `chaku.jsonl` reads files in which every line counts.
    """
    try:
        yield from _parquet_rows(path) if row_format(path) == "parquet" else _json_rows(path)
    except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
        yield Row(str(path), problem=f"the rest of a file, unreadable ({type(error).__name__})")


def _json_rows(path: Path) -> Iterator[Row]:
    with io.TextIOWrapper(open_packed(path), encoding="utf-8-sig", errors="surrogateescape") as file:
        lines = ((number, line) for number, line in enumerate(_lines(file), 1) if line.strip())
        for place, (number, line) in enumerate(lines):
            is_array = place == 0 and line.lstrip().startswith("[")
            where = f"{path}, line {number}"
            if len(line) > MAX_LINE and not is_array:
                yield Row(where, problem=f"a line over {MAX_LINE:,} characters")
                continue
            try:
                value = json.loads(line + file.read() if is_array else line)
            except (json.JSONDecodeError, RecursionError):
                yield Row(where, problem="not JSON")
                continue
            if is_array:
                yield from (Row(f"{path}, item {item}", row) for item, row in enumerate(value))
            else:
                yield Row(where, value)


def _lines(file: IO[str]) -> Iterator[str]:
    """The lines of a file; of a longer line, the first MAX_LINE + 1 characters."""
    while line := file.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE and not line.endswith("\n") and not line.lstrip().startswith("["):
            while (rest := file.readline(MAX_LINE)) and not rest.endswith("\n"):
                pass
        yield line


def _parquet_rows(path: Path) -> Iterator[Row]:
    with _seekable(path) as raw, pq.ParquetFile(raw) as file:
        number = 0
        for group in range(file.num_row_groups):
            about = file.metadata.row_group(group)
            mean = max(1, about.total_byte_size // max(1, about.num_rows))  # bytes of a row
            for batch in file.iter_batches(batch_size=max(1, min(256, BATCH_BYTES // mean)), row_groups=[group]):
                for row in batch.to_pylist():
                    yield Row(f"{path}, row {number}", row)
                    number += 1


@contextmanager
def _seekable(path: Path) -> Iterator[IO[bytes]]:
    """Open a file; decompress it into a temporary file if needed, because Parquet readers seek to the end."""
    with open_packed(path) as packed:
        if path.suffix not in (".gz", ".zst"):
            yield packed
            return
        with tempfile.TemporaryFile() as file:
            shutil.copyfileobj(packed, file)
            file.seek(0)
            yield file


def hub_rows(name: str, subset: str | None) -> Iterator[Row]:
    """Stream the training split of a Hub data set, or of a directory with a Hub data set's layout.

    Raises ChakuError when the `hub` extra is not installed, and when the data set cannot be read.
    """
    try:
        from datasets import load_dataset
    except ImportError:
        raise ChakuError(f"{name} is a Hub data set: pip install 'chaku[hub]'") from None
    try:
        rows = load_dataset(name, subset, split="train", streaming=True)
        yield from (Row(f"{name}, row {number}", row) for number, row in enumerate(rows))
    except (OSError, ValueError, RuntimeError) as error:  # base classes of the library's and the network's errors
        raise ChakuError(f"the Hub data set {name} cannot be read: {error}") from error
