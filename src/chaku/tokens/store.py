"""The token store: documents are encoded once into Megatron's `.bin` and `.idx` files and read by memory map."""

import os
import shutil
import struct
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from chaku.console import progress, short
from chaku.documents import COMMIT, Document, count_documents, document_files, read_document_file
from chaku.errors import ChakuError
from chaku.files import atomic_file, read_json, sha256_file, write_json
from chaku.tokens.commit_format import encode_document
from chaku.tokens.tokenizer import Tokenizer

# Megatron's indexed data set, version 1: magic, version, code of the number type, number of sequences, number of
# documents; then int32 lengths, int64 byte offsets, and the int64 first sequence of each document (and the end).
_MAGIC = b"MMIDIDX\x00\x00"
_HEADER = struct.Struct("<9sQBQQ")
_TYPES: dict[int, type[np.generic]] = {4: np.int32, 8: np.uint16}
_BATCH = 256  # documents between two updates of the progress bar
_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("language", pa.string()),
        ("kind", pa.string()),
        ("sha256", pa.string()),
        ("num_tokens", pa.int64()),
        ("num_chars", pa.int64()),
        ("crc32", pa.uint32()),  # of the document's ids as they are stored
    ]
)


class TokenStore:
    """Documents as arrays of ids, without BOS and EOS. `store[i]` is a view into the file: (length,), read-only.

    A document's checksum is checked when the document is first read. Raises ChakuError for a damaged document.
    """

    def __init__(self, directory: Path, split: str):
        self._opened = (directory, split)
        base = directory / split
        self._paths = (base.with_suffix(".bin"), base.with_suffix(".idx"), base.with_suffix(".parquet"))
        for path in self._paths:
            if not path.is_file():
                raise ChakuError(f"{path} does not exist; encode the corpus first")
        damaged = ChakuError(f"{base}.bin and .idx do not match; one of them was cut short: encode the corpus again")
        if self._paths[1].stat().st_size < _HEADER.size:
            raise damaged
        index = np.asarray(np.memmap(self._paths[1], np.uint8, "r"))
        magic, version, code, count, num_documents = _HEADER.unpack(index[: _HEADER.size].tobytes())
        if magic != _MAGIC or version != 1 or code not in _TYPES:
            raise ChakuError(
                f"{base}.idx is not a Megatron index of version 1 with int32 or uint16 ids: encode the corpus again"
            )
        if len(index) != _HEADER.size + 12 * count + 8 * num_documents:
            raise damaged
        self.lengths = index[_HEADER.size :][: 4 * count].view(np.int32)
        self._offsets = index[_HEADER.size + 4 * count :][: 8 * count].view(np.int64)  # bytes
        dtype = np.dtype(_TYPES[code])
        if int(self.lengths.sum(dtype=np.int64)) * dtype.itemsize != self._paths[0].stat().st_size:
            raise damaged
        self._tokens: np.ndarray = (
            np.memmap(self._paths[0], dtype, "r") if count and self.lengths.any() else np.zeros(0, dtype)
        )
        columns = [name for name in ("kind", "language", "crc32") if name in pq.read_schema(self._paths[2]).names]
        table = pq.read_table(self._paths[2], columns=columns)
        self.kinds = table["kind"].combine_chunks().dictionary_encode()
        self.languages = table["language"].combine_chunks().dictionary_encode()
        self._language_codes = self.languages.indices.fill_null(-1).to_numpy()
        self._language_names: list[str] = self.languages.dictionary.to_pylist()
        self._checksums = table["crc32"].to_numpy() if "crc32" in columns else None  # an earlier version wrote none
        self._checked = np.zeros(count, bool)
        if len(self.kinds) != count:
            raise damaged
        self._is_commit = np.zeros(count, bool)
        self._is_commit[self.select(kinds=[COMMIT])] = True

    @classmethod
    def open(cls, directory: Path, split: str = "train") -> "TokenStore":
        """Open DIRECTORY/SPLIT.bin, .idx and .parquet. Raises ChakuError when a file is missing or cut short."""
        return cls(directory, split)

    def __len__(self) -> int:
        return len(self.lengths)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process open the files itself: a pickled memory map would be a copy."""
        return type(self), self._opened

    def __getitem__(self, index: int) -> np.ndarray:
        first = int(self._offsets[index]) // self._tokens.itemsize
        ids = self._tokens[first : first + self.lengths[index]]
        if self._checksums is not None and not self._checked[index]:
            if zlib.crc32(ids.data) != self._checksums[index]:
                raise ChakuError(
                    f"document {index} of {self._paths[0]} is damaged, or its index is; encode the corpus again"
                )
            self._checked[index] = True
        return ids

    def language(self, index: int) -> str:
        """The language of a document, "" where none is known."""
        code = self._language_codes[index]
        return self._language_names[code] if code >= 0 else ""

    def may_be_infilled(self, index: int) -> bool:
        """Whether infilling may cut a document: not a commit, whose middle would cross from one file into another."""
        return not self._is_commit[index]

    @property
    def sha256(self) -> str:
        """The SHA-256 of the index file: of the documents' lengths and order."""
        return sha256_file(self._paths[1])

    def select(self, kinds: Collection[str] | None = None, languages: Collection[str] | None = None) -> np.ndarray:
        """Indices of the documents of these kinds and languages (None: all), ascending, int64."""
        chosen = np.ones(len(self), dtype=bool)
        for column, wanted in ((self.kinds, kinds), (self.languages, languages)):
            if wanted is not None:
                codes = [code for code, value in enumerate(column.dictionary.to_pylist()) if value in wanted]
                chosen &= np.isin(column.indices.to_numpy(), codes)
        return np.flatnonzero(chosen)


@dataclass(frozen=True, slots=True)
class ShardToEncode:
    """A file of a corpus, and the part of the store that it becomes: `tokens` (ids only) and `table`, written last."""

    shard: Path
    tokenizer: Tokenizer
    dtype: np.dtype
    tokens: Path
    table: Path


def encode_shard(task: ShardToEncode) -> tuple[int, int]:
    """In a worker: encode a file of a corpus, unless it was done before; returns (documents, tokens).

    The same task always gives the same files. A row group is in memory at a time.
    """
    if not (task.table.exists() and task.tokens.exists()):
        task.table.unlink(missing_ok=True)
        with atomic_file(task.tokens) as path, path.open("wb") as file, atomic_file(task.table) as table_path:
            with pq.ParquetWriter(table_path, _SCHEMA, compression="zstd") as table:
                for documents in _batches(read_document_file(task.shard)):
                    rows = []
                    for document in documents:
                        ids = np.asarray(encode_document(task.tokenizer, document), dtype=task.dtype)
                        file.write(ids.tobytes())
                        rows.append(_row(document, ids))
                    table.write_table(pa.Table.from_pylist(rows, _SCHEMA))
            file.flush()
    return pq.read_metadata(task.table).num_rows, task.tokens.stat().st_size // task.dtype.itemsize


def encode_corpus(
    corpus: Path,
    tokenizer: Tokenizer,
    directory: Path,
    split: str = "train",
    work: Callable[..., Any] = map,
) -> TokenStore:
    """Encode one split of a corpus into a store, file by file, so that memory does not grow with the corpus.

    `work`: a `map` over processes, as `chaku.corpus.workers.worker_map` yields it; any number of workers gives the same
    store. The index is written last; without an index there is no store. After a kill, the next call encodes only the
    files that were not whole. Raises ChakuError for a corpus without documents in that split.
    """
    dtype = np.dtype(np.uint16 if tokenizer.vocab_size < 65_500 else np.int32)
    base = directory / split
    shards = document_files(corpus, split)
    made_from = {
        "tokenizer": tokenizer.sha256,
        "corpus": [[shard.name, shard.stat().st_size, pq.read_metadata(shard).num_rows] for shard in shards],
    }
    directory.mkdir(parents=True, exist_ok=True)
    parts = [directory / f".{split}-{number:05}.parquet" for number in range(len(shards))]
    state_path = directory / f".{split}.json"
    state = read_json(state_path) if state_path.exists() else {}
    if state.get("made_from") != made_from:
        base.with_suffix(".idx").unlink(missing_ok=True)
        for path in directory.glob(f".{split}-*"):
            path.unlink()
        state = {"made_from": made_from, "shards": 0, "documents": 0, "bytes": 0}
        write_json(state_path, state)
    for part in parts[: state["shards"]]:
        part.with_suffix(".bin").unlink(missing_ok=True)
    tasks = [
        ShardToEncode(shard, tokenizer, dtype, part.with_suffix(".bin"), part)
        for shard, part in zip(shards[state["shards"] :], parts[state["shards"] :], strict=True)
    ]
    with (
        base.with_suffix(".bin").open("r+b" if state["shards"] else "wb") as tokens_file,
        progress(f"encode {split}", count_documents(corpus, split), "documents", initial=state["documents"]) as bar,
    ):
        tokens_file.truncate(state["bytes"])
        tokens_file.seek(state["bytes"])
        for task, (num_documents, num_tokens) in zip(tasks, work(encode_shard, tasks), strict=True):
            with task.tokens.open("rb") as encoded:
                shutil.copyfileobj(encoded, tokens_file, 1 << 20)
            tokens_file.flush()
            os.fsync(tokens_file.fileno())
            bar.advance(num_documents, f"{short(num_tokens)} tokens in a file")
            state |= {"shards": state["shards"] + 1, "documents": int(bar.done), "bytes": tokens_file.tell()}
            write_json(state_path, state)
            task.tokens.unlink()
    if not base.with_suffix(".idx").exists():
        lengths = _join(parts, base.with_suffix(".parquet"))
        if not len(lengths) and split == "train":
            raise ChakuError(f"{corpus} has no {split} documents to encode; build the corpus from more sources")
        with atomic_file(base.with_suffix(".idx")) as index_path:
            _write_index(index_path, lengths, dtype)
    return TokenStore.open(directory, split)


def forget_parts(directory: Path) -> None:
    """Remove the files from which `encode_corpus` would resume, once the store is in its final place."""
    for path in directory.glob(".*"):
        if path.suffix in (".json", ".parquet", ".bin"):
            path.unlink()


def _row(document: Document, ids: np.ndarray) -> dict[str, object]:
    return {
        "path": document.path,
        "language": document.language,
        "kind": document.kind,
        "sha256": document.sha256,
        "num_tokens": len(ids),
        "num_chars": len(document.text),
        "crc32": zlib.crc32(ids.data),
    }


def _join(parts: Sequence[Path], target: Path) -> np.ndarray:
    """Write the tables of all shards as one table; returns the lengths of the documents, (num_documents,) int32."""
    lengths = [np.zeros(0, np.int32)]
    with atomic_file(target) as path, pq.ParquetWriter(path, _SCHEMA, compression="zstd") as table:
        for part in parts:
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches():
                    table.write_batch(batch)
                    lengths.append(batch.column("num_tokens").to_numpy().astype(np.int32))
    return np.concatenate(lengths)


def _write_index(path: Path, lengths: np.ndarray, dtype: np.dtype) -> None:
    code = next(code for code, kind in _TYPES.items() if np.dtype(kind) == dtype)
    offsets = np.zeros(len(lengths), dtype=np.int64)
    np.cumsum(lengths[:-1], out=offsets[1:])
    with path.open("wb") as file:
        file.write(_HEADER.pack(_MAGIC, 1, code, len(lengths), len(lengths) + 1))
        for part in (lengths, offsets * dtype.itemsize, np.arange(len(lengths) + 1, dtype=np.int64)):
            file.write(part.tobytes())


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    for document in documents:
        batch.append(document)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
