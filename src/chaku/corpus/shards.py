"""Write the Parquet files of a corpus, a row group at a time."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chaku.corpus.sources import Raw
from chaku.documents import ABOUT_COPIES, SCHEMA

SHARD_BYTES = 256 * 2**20  # bytes of text in a full file
ROW_GROUP_BYTES = 4 * 2**20  # bytes of text in memory before they are written


class ShardWriter:
    """Writes DIRECTORY/SPLIT-NNNNN.parquet, from number `num_shards` on. `shard_bytes`: text in the open file."""

    def __init__(self, directory: Path, split: str, num_shards: int = 0):
        self.directory, self.split, self.num_shards = directory, split, num_shards
        self.shard_bytes = self._waiting_bytes = 0
        self._schema = pa.schema([*SCHEMA, *ABOUT_COPIES])
        self._waiting: list[dict[str, object]] = []
        self._file: pq.ParquetWriter | None = None

    def write(self, raw: Raw, digest: bytes, size: int) -> None:
        fields = {"text": raw.text, "path": raw.path, "language": raw.language, "kind": raw.kind}
        about = {"license": raw.license, "source": raw.source, "sha256": digest.hex(), "bytes": size}
        about |= {"repository": raw.repository, "stars": raw.stars, "date": raw.date}
        self._waiting.append({**fields, **about})
        self._waiting_bytes += size
        self.shard_bytes += size
        if self._waiting_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def finish_shard(self) -> None:
        """Close the open file, if any; the next document begins another file."""
        if self._waiting:
            self._flush()
        if self._file:
            self._file.close()
            self.num_shards += 1
        self._file, self.shard_bytes = None, 0

    def close(self) -> None:
        """Close the last file; a split without documents has one file without rows."""
        if self.num_shards == 0 and not self._waiting and self._file is None:
            self._flush()
        self.finish_shard()

    def _flush(self) -> None:
        if self._file is None:
            path = self.directory / f"{self.split}-{self.num_shards:05}.parquet"
            self._file = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._file.write_table(pa.Table.from_pylist(self._waiting, self._schema))
        self._waiting, self._waiting_bytes = [], 0


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
