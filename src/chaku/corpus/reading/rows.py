"""Read rows of JSONL and Parquet files, plain or compressed (.gz, .zst), here or under a URL, and of Hub data sets."""

import gzip
import io
import itertools
import json
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from chaku.corpus.reading.remote_files import RemoteFile
from chaku.errors import ChakuError

AnyFile = Path | RemoteFile
MAX_LINE = 16 << 20  # bytes of a line of JSON, far more than a text of the largest size takes; bounds the memory
PACK_ROWS, PACK_BYTES = 64, 4 << 20  # at most, in a pack; one larger row is a pack of its own
CHUNK = 1 << 20  # characters of an array of JSON that are read at a time
_MARK = b"\xef\xbb\xbf"  # the byte order mark of UTF-8
_SPACE = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a file. `where`: its file and line, for messages. `problem`: why it has no value; "" for a whole row."""

    where: str
    value: Any = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RowPack:
    """Some rows of a file, which another process decodes. `first`: the number of the first, from 0.

    `rows`: (line number, line, problem) of each line of JSON; rows of Parquet; or decoded rows.
    """

    where: str
    first: int
    rows: list[tuple[int, bytes, str]] | pa.RecordBatch | list[Row]


def row_format(path: AnyFile) -> Literal["jsonl", "parquet"] | None:
    """The format of a file of rows by its name, compressed or not; None for any other file."""
    name = path.name.removesuffix(".gz").removesuffix(".zst")
    if name.endswith(".parquet"):
        return "parquet"
    return "jsonl" if name.endswith((".jsonl", ".json", ".ndjson")) else None


def open_packed(path: AnyFile) -> IO[bytes]:
    """Open a file to read its bytes, decompressed when its name ends in .gz or .zst."""
    remote = path.open("rb") if isinstance(path, RemoteFile) else None
    if path.suffix == ".gz":
        return gzip.open(remote or path)  # type: ignore[arg-type, return-value]
    if path.suffix == ".zst":
        return io.BufferedReader(pa.CompressedInputStream(remote or str(path), "zstd"))  # which has no lines of its own
    if remote:
        return remote
    return path.open("rb")


def read_rows(path: AnyFile) -> Iterator[Row]:
    """The rows of a file: JSON with one row a line or with one array of rows, or Parquet.

    A line that is not JSON becomes a row with a problem. So does the unreadable rest of a damaged file: one bad row
    must not stop the use of a million others. `chaku.jsonl` reads files in which every line counts.
    """
    for pack in read_packs(path):
        yield from unpack(pack)


def read_packs(path: AnyFile) -> Iterator[RowPack]:
    """The rows of a file as `read_rows` reads them, a few at a time and not decoded: that is most of the work."""
    number = 0
    try:
        for rows in _parquet_packs(path) if row_format(path) == "parquet" else _json_packs(path):
            yield RowPack(str(path), number, rows)
            number += len(rows)
    except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
        problem = f"the rest of a file, unreadable ({type(error).__name__})"
        yield RowPack(str(path), number, [Row(str(path), problem=problem)])


def unpack(pack: RowPack) -> Iterator[Row]:
    """The rows of a pack, decoded."""
    if isinstance(pack.rows, pa.RecordBatch):
        for number, value in enumerate(pack.rows.to_pylist(), pack.first):
            yield Row(f"{pack.where}, row {number}", value)
        return
    for row in pack.rows:
        if isinstance(row, Row):
            yield row
            continue
        number, line, problem = row
        where = f"{pack.where}, line {number}"
        try:
            yield Row(where, None if problem else json.loads(line.decode("utf-8", "surrogateescape")), problem)
        except (json.JSONDecodeError, RecursionError):
            yield Row(where, problem="not JSON")


def pack_rows(where: str, rows: Iterator[Row]) -> Iterator[RowPack]:
    """Packs of decoded rows."""
    number = 0
    while pack := list(islice(rows, PACK_ROWS)):
        yield RowPack(where, number, pack)
        number += len(pack)


def _json_packs(path: AnyFile) -> Iterator[list[tuple[int, bytes, str]] | list[Row]]:
    with open_packed(path) as file:
        lines: list[tuple[int, bytes, str]] = []
        size, begun = 0, False
        damage: Exception | None = None
        rest = _lines(file)
        for number in itertools.count(1):
            try:
                line = next(rest, b"")
            except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
                damage, line = error, b""
            if not line:
                break
            if number == 1:
                line = line.removeprefix(_MARK)
            if not line.strip():
                continue
            if not begun and line.lstrip().startswith(b"["):
                array = io.BufferedReader(_Rest(line, file))
                yield from ([item] for item in _items(path, io.TextIOWrapper(array, "utf-8", "surrogateescape")))
                return
            begun = True
            long = len(line) > MAX_LINE
            lines.append((number, b"" if long else line, f"a line over {MAX_LINE:,} bytes" if long else ""))
            size += len(line)
            if len(lines) >= PACK_ROWS or size >= PACK_BYTES:
                yield lines
                lines, size = [], 0
        if lines:
            yield lines
        if damage:
            raise damage


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file; of a longer line, the first MAX_LINE + 1 bytes."""
    while line := file.readline(MAX_LINE + 1):
        yield line
        while len(line) > MAX_LINE and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE + 1)


class _Rest(io.RawIOBase):
    """What is left of a file after its first line, with this line before it."""

    def __init__(self, line: bytes, file: IO[bytes]):
        self._line, self._file = line, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part, self._line = self._line[: len(buffer)], self._line[len(buffer) :]
        part = part or self._file.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


def _items(path: AnyFile, file: IO[str]) -> Iterator[Row]:
    """The items of an array of JSON, one at a time: memory holds an item and a part of the file."""
    decoder, number = json.JSONDecoder(), 0
    text = file.read(CHUNK)
    at = _after_space(text, 0) + 1  # after the bracket
    asked = CHUNK
    while True:
        where = f"{path}, item {number}"
        at = _after_space(text, at)
        try:
            if text[at : at + 1] == "]":
                if text[at + 1 :].strip() or file.read(1).strip():
                    yield Row(where, problem="not JSON")
                return
            value, end = decoder.raw_decode(text, at)
            end = _after_space(text, end)
            if text[end : end + 1] in (",", "]"):
                yield Row(where, value)
                number, asked = number + 1, CHUNK
                at = end + (text[end] == ",")
                continue
            whole = end < len(text)
        except json.JSONDecodeError:
            whole = False
        except RecursionError:
            whole = True
        more = "" if whole or len(text) - at > MAX_LINE else file.read(asked)
        if not more:
            yield Row(where, problem="not JSON")
            return
        text, at, asked = text[at:] + more, 0, 2 * asked


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _parquet_packs(path: AnyFile) -> Iterator[pa.RecordBatch]:
    with _seekable(path) as raw, pq.ParquetFile(raw, buffer_size=CHUNK, pre_buffer=False) as file:
        for group in range(file.num_row_groups):
            about = file.metadata.row_group(group)
            mean = max(1, about.total_byte_size // max(1, about.num_rows))  # bytes of a row
            size = max(1, min(PACK_ROWS, PACK_BYTES // mean))
            yield from file.iter_batches(batch_size=size, row_groups=[group], use_threads=False)


@contextmanager
def _seekable(path: AnyFile) -> Iterator[IO[bytes]]:
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
