"""What workers do in a build: clean a piece of a source, whose texts wait in a file, and write a shard of them."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from chaku.corpus.cleaning.cleaner import Cleaning, cleaner
from chaku.corpus.compiled import count_read
from chaku.corpus.reading.file_documents import read_files
from chaku.corpus.reading.row_documents import read_raw_rows
from chaku.corpus.reading.sources import Files, Raw, Rows
from chaku.corpus.shards import ShardWriter
from chaku.documents import ABOUT_COPIES, SCHEMA

PARTS = "parts"  # the directory of waiting texts in the directory of a corpus
Piece = Files | Rows | list[Raw]
_ALL = pa.schema([*SCHEMA, *ABOUT_COPIES])


@dataclass(frozen=True, slots=True)
class PieceTask:
    """`number`: of the piece, which names its file. `full`: kinds and languages of which no more is wanted."""

    directory: Path
    number: int
    piece: Piece
    full: frozenset[str]
    wants_hashes: bool
    cleaning: Cleaning


@dataclass(frozen=True, slots=True)
class Found:
    """A document without its text. `digest`: SHA-256 of the text. `split_key`: of what decides the split.

    `size`: the text's bytes in UTF-8. `row`: its place in the piece's file; -1 for a document with a problem.
    """

    raw: Raw
    digest: bytes
    split_key: bytes
    size: int
    row: int


@dataclass(frozen=True, slots=True)
class ShardTask:
    """A shard to write from rows of pieces' files. `rows`: of each piece, in order, int64."""

    directory: Path
    split: str
    number: int
    pieces: tuple[int, ...]
    rows: tuple[np.ndarray, ...]


def clean_piece(task: PieceTask) -> tuple[list[Found], dict[str, str]]:
    """In a worker: read and clean the documents of a piece, and write those without a problem to a file.

    Returns what was found, and, if the task wants hashes, the SHA-256 of every file that was read. The same task always
    gives the same file.
    """
    hashes: dict[str, str] = {}
    if isinstance(task.piece, Files):
        raws = read_files(task.piece, task.full, hashes if task.wants_hashes else None)
    elif isinstance(task.piece, list):
        raws = iter(task.piece)
    else:
        raws = read_raw_rows(task.piece)
    found: list[Found] = []
    rows: list[dict[str, object]] = []
    last, last_digest = "", b""  # the parts of a file follow it: their origin is its text
    clean = cleaner(task.cleaning).clean
    for raw in raws:
        count_read(len(raw.text))
        cleaned = clean(raw)
        if cleaned.problem:
            size = len(cleaned.text.encode())
            found.append(Found(replace(cleaned, text="", origin=None), b"", b"", size, -1))
            continue
        text = cleaned.text.encode()
        digest = hashlib.sha256(text).digest()
        origin = raw.origin or raw.text
        if origin is not last:
            last = origin
            last_digest = digest if origin is cleaned.text else hashlib.sha256(origin.encode()).digest()
        found.append(Found(replace(cleaned, text="", origin=None), digest, last_digest, len(text), len(rows)))
        rows.append(_row(cleaned, digest, len(text)))
    if rows:
        task.directory.mkdir(exist_ok=True)
        with pa.OSFile(str(_path(task.directory, task.number)), "wb") as file, pa.ipc.new_file(file, _ALL) as out:
            out.write_table(pa.Table.from_pylist(rows, _ALL))
    return found, hashes


def _row(raw: Raw, digest: bytes, size: int) -> dict[str, object]:
    fields = {"text": raw.text, "path": raw.path, "language": raw.language, "kind": raw.kind}
    about = {"license": raw.license, "source": raw.source, "sha256": digest.hex(), "bytes": size}
    return {**fields, **about, "repository": raw.repository, "stars": raw.stars, "date": raw.date}


def _path(directory: Path, number: int) -> Path:
    return directory / f"{number:08}.arrow"


def write_shard(task: ShardTask) -> None:
    """In a worker: write a shard. A piece and a row group are in memory. The same task always gives the same file."""
    with ShardWriter(task.directory, task.split, task.number) as writer:
        for number, rows in zip(task.pieces, task.rows, strict=True):
            with pa.memory_map(str(_path(task.directory / PARTS, number))) as file:
                writer.write(pa.ipc.open_file(file).read_all().take(pa.array(rows)))


def forget_piece(directory: Path, number: int) -> None:
    """Remove the file of a piece whose documents are in a shard."""
    _path(directory, number).unlink(missing_ok=True)
