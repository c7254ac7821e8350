"""Read rows of JSONL and Parquet files, plain or compressed (.gz, .zst), and of Hub data sets."""

import gzip
import io
import json
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from chaku.errors import ChakuError

PROBLEM = "_problem"  # the only key of a row that could not be read; its value is the reason


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


def jsonl_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file with one JSON object per line, or with one array of objects.

    A line that is not an object becomes a row with a problem. So does the unreadable rest of a damaged file.
    """
    try:
        with io.TextIOWrapper(open_packed(path), encoding="utf-8-sig", errors="surrogateescape") as file:
            for number, line in enumerate(filter(str.strip, file)):
                if number == 0 and line.lstrip().startswith("["):
                    yield from _array(line + file.read())
                    return
                try:
                    row = json.loads(line)
                except (json.JSONDecodeError, RecursionError):
                    row = None
                yield row if isinstance(row, dict) else {PROBLEM: "broken line"}
    except (OSError, EOFError, zlib.error) as error:
        yield {PROBLEM: f"the rest of a file, unreadable ({type(error).__name__})"}


def parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, in batches. The unreadable rest of a damaged file becomes a row with a problem."""
    try:
        with _seekable(path) as raw, pq.ParquetFile(raw) as file:
            for batch in file.iter_batches(batch_size=256):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
        yield {PROBLEM: f"the rest of a file, unreadable ({type(error).__name__})"}


def _array(text: str) -> Iterator[dict[str, Any]]:
    try:
        rows = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        yield {PROBLEM: "broken line"}
        return
    for row in rows:
        yield row if isinstance(row, dict) else {PROBLEM: "no object"}


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


def hub_rows(name: str, subset: str | None) -> Iterator[dict[str, Any]]:
    """Stream the training split of a Hub data set, or of a directory with a Hub data set's layout.

    Raises ChakuError when the `hub` extra is not installed, and when the data set cannot be read.
    """
    try:
        from datasets import load_dataset
    except ImportError:
        raise ChakuError(f"{name} is a Hub data set: pip install 'chaku[hub]'") from None
    try:
        yield from load_dataset(name, subset, split="train", streaming=True)
    except (OSError, ValueError, RuntimeError) as error:  # base classes of the library's and the network's errors
        raise ChakuError(f"the Hub data set {name} cannot be read: {error}") from error
