"""The token store: documents encoded once, read through a memory map. Megatron's `.bin` and `.idx` files."""

import struct
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from chaku.console import progress, short
from chaku.corpus.documents import Document, count_documents, read_documents
from chaku.errors import ChakuError
from chaku.files import atomic_file, sha256_file
from chaku.tokens.tokenizer import Tokenizer

# Megatron's indexed data set, version 1: magic, version, code of the number type, numbers of sequences and documents;
# then int32 lengths, int64 byte offsets, int64 first sequence of each document (and the end).
_MAGIC = b"MMIDIDX\x00\x00"
_HEADER = struct.Struct("<9sQBQQ")
_TYPES: dict[int, type[np.generic]] = {4: np.int32, 8: np.uint16}
_BATCH = 256  # documents encoded between two looks at the progress bar


class TokenStore:
    """Documents as arrays of ids, without BOS and EOS. `store[i]` is a view into the file: (length,), read-only."""

    def __init__(self, directory: Path, split: str):
        base = directory / split
        self._paths = (base.with_suffix(".bin"), base.with_suffix(".idx"), base.with_suffix(".parquet"))
        for path in self._paths:
            if not path.is_file():
                raise ChakuError(f"{path} does not exist; encode the corpus first")
        index = self._paths[1].read_bytes()
        damaged = ChakuError(f"{base}.bin and .idx do not fit together; a copy was cut short: encode the corpus again")
        if len(index) < _HEADER.size:
            raise damaged
        magic, version, code, count, num_documents = _HEADER.unpack_from(index)
        if magic != _MAGIC or version != 1 or code not in _TYPES:
            raise ChakuError(f"{base}.idx is not a Megatron index of version 1 with int32 or uint16 ids")
        if len(index) != _HEADER.size + 12 * count + 8 * num_documents:
            raise damaged
        self.lengths = np.frombuffer(index, np.int32, count, _HEADER.size)
        self._offsets = np.frombuffer(index, np.int64, count, _HEADER.size + 4 * count)
        dtype = np.dtype(_TYPES[code])
        if int(self.lengths.sum(dtype=np.int64)) * dtype.itemsize != self._paths[0].stat().st_size:
            raise damaged
        self._tokens: np.ndarray = (
            np.memmap(self._paths[0], dtype, "r") if count and self.lengths.any() else np.zeros(0, dtype)
        )
        self._firsts = self._offsets // dtype.itemsize
        table = pq.read_table(self._paths[2], columns=["kind", "language"])
        self.kinds = table["kind"].combine_chunks().dictionary_encode()
        self.languages = table["language"].combine_chunks().dictionary_encode()
        if len(self.kinds) != count:
            raise damaged

    @classmethod
    def open(cls, directory: Path, split: str = "train") -> "TokenStore":
        """Open DIRECTORY/SPLIT.bin, .idx and .parquet. Raises ChakuError when one is missing or cut short."""
        return cls(directory, split)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> np.ndarray:
        first = self._firsts[index]
        return self._tokens[first : first + self.lengths[index]]

    @property
    def sha256(self) -> str:
        """The hash of the index: lengths and order of the documents."""
        return sha256_file(self._paths[1])

    def select(self, kinds: Collection[str] | None = None, languages: Collection[str] | None = None) -> np.ndarray:
        """Indices of the documents of these kinds and languages (None: all), ascending, int64."""
        chosen = np.ones(len(self), dtype=bool)
        for column, wanted in ((self.kinds, kinds), (self.languages, languages)):
            if wanted is not None:
                codes = [code for code, value in enumerate(column.dictionary.to_pylist()) if value in wanted]
                chosen &= np.isin(column.indices.to_numpy(), codes)
        return np.flatnonzero(chosen)


def encode_corpus(corpus: Path, tokenizer: Tokenizer, directory: Path, split: str = "train") -> TokenStore:
    """Encode one split of a corpus into a store, document by document: memory does not grow with the text.

    The files appear whole or not at all. Raises ChakuError for a corpus without documents of that split.
    """
    dtype = np.dtype(np.uint16 if tokenizer.vocab_size < 65_500 else np.int32)
    lengths: list[int] = []
    num_tokens = 0
    base = directory / split
    schema = pa.schema(
        [
            ("path", pa.string()),
            ("language", pa.string()),
            ("kind", pa.string()),
            ("sha256", pa.string()),
            ("num_tokens", pa.int64()),
            ("num_chars", pa.int64()),
        ]
    )
    with (
        atomic_file(base.with_suffix(".bin")) as bin_path,
        atomic_file(base.with_suffix(".parquet")) as table_path,
        progress(f"encode {split}", count_documents(corpus, split), "documents") as bar,
    ):
        with bin_path.open("wb") as tokens_file, pq.ParquetWriter(table_path, schema, compression="zstd") as table:
            for documents in _batches(read_documents(corpus, split)):
                rows: list[dict[str, object]] = []
                for document in documents:
                    ids = np.asarray(tokenizer.encode(document.text), dtype=dtype)
                    tokens_file.write(ids.tobytes())
                    lengths.append(len(ids))
                    num_tokens += len(ids)
                    rows.append(
                        {
                            "path": document.path,
                            "language": document.language,
                            "kind": document.kind,
                            "sha256": document.sha256,
                            "num_tokens": len(ids),
                            "num_chars": len(document.text),
                        }
                    )
                table.write_table(pa.Table.from_pylist(rows, schema))
                bar.advance(len(documents), f"{short(num_tokens)} tokens")
        if not lengths and split == "train":
            raise ChakuError(f"{corpus} has no {split} documents to encode")
        with atomic_file(base.with_suffix(".idx")) as index_path:
            _write_index(index_path, np.array(lengths, dtype=np.int32), dtype)
    return TokenStore.open(directory, split)


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
