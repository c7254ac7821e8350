"""Write the Parquet files of a corpus, a row group at a time."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from chaku.documents import ABOUT_COPIES, SCHEMA

SHARD_BYTES = 256 * 2**20  # bytes of text in a full file
ROW_GROUP_BYTES = 4 * 2**20  # bytes of text in memory before they are written


class ShardWriter:
    """Writes DIRECTORY/SPLIT-NNNNN.parquet from tables, a row group at a time; a file without tables has no rows."""

    def __init__(self, directory: Path, split: str, number: int):
        self._schema = pa.schema([*SCHEMA, *ABOUT_COPIES])
        self._waiting: list[pa.Table] = []
        self._room = ROW_GROUP_BYTES
        path = directory / f"{split}-{number:05}.parquet"
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._is_empty = True

    def write(self, table: pa.Table) -> None:
        """Add documents. `table`: the columns of SCHEMA and ABOUT_COPIES."""
        table = table.select(self._schema.names)
        while len(table):
            sizes = np.cumsum(table["bytes"].to_numpy())
            count = int(np.searchsorted(sizes, self._room)) + 1
            self._waiting.append(table.slice(0, count))
            self._room -= int(sizes[min(count, len(sizes)) - 1])
            table = table.slice(count)
            if self._room <= 0:
                self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and (self._waiting or self._is_empty):
            self._flush()
        self._file.close()

    def _flush(self) -> None:
        self._file.write_table(pa.concat_tables([self._schema.empty_table(), *self._waiting]).combine_chunks())
        self._waiting, self._room, self._is_empty = [], ROW_GROUP_BYTES, False


def corpus_files(directory: Path) -> list[Path]:
    """The Parquet files of both splits, in their order."""
    return sorted(path for split in ("heldout", "train") for path in directory.glob(f"{split}-*.parquet"))


def document_hashes(directory: Path) -> Iterator[bytes]:
    """The SHA-256 of each document's text, in the order of the files."""
    for path in corpus_files(directory):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["sha256"]):
                yield from (bytes.fromhex(digest) for digest in batch.column(0).to_pylist())


def documents_sha256(directory: Path) -> str:
    """The SHA-256 of a corpus: of the hash, path, kind, language and split of every document."""
    whole = hashlib.sha256()
    for path in corpus_files(directory):
        split = path.name.partition("-")[0]
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["sha256", "path", "kind", "language"]):
                for row in batch.to_pylist():
                    whole.update("\0".join((split, *map(str, row.values()), "")).encode())
    return whole.hexdigest()
