"""`Document`, and the Parquet files that hold documents."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chaku.errors import ChakuError

KINDS = ("code", "code_prose", "prose")
PIECE = "piece"  # a part of a code file; the corpus holds the file too, so a piece is never counted beside it
COMMIT = "commit"  # a document with a file before a commit, its message, and the file after it
DOCSTRINGS = "Docstrings"  # the language of a document that holds the docstrings of a code file
SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("path", pa.string()),
        ("language", pa.string()),
        ("kind", pa.string()),
        ("license", pa.string()),
        ("source", pa.string()),
        ("sha256", pa.string()),
        ("bytes", pa.int64()),
    ]
)


# More columns of a corpus, about the repository of a document: they decide which one of near-duplicates is kept. An
# earlier version wrote them only for that.
ABOUT_COPIES = pa.schema([("repository", pa.string()), ("stars", pa.int64()), ("date", pa.string())])
# The columns of lineage-*.parquet: documents that were dropped, or kept with parts replaced (`reason` is null then).
DROPPED = pa.schema(
    [(name, pa.string()) for name in ("path", "source", "repository", "kind", "language", "license")]
    + [("bytes", pa.int64())]
    + [(name, pa.string()) for name in ("sha256", "reason", "detail")]
)


@dataclass(frozen=True, slots=True)
class Document:
    """One text. `kind` is "code", "code_prose" (natural language about code), "prose" or "piece".

    `sha256` is the hash of the text in UTF-8. A piece is a part of a code file, and the whole file is a document too:
    see `Source.piece_bytes`.
    """

    text: str
    path: str
    language: str
    kind: str
    license: str | None
    source: str
    sha256: str


def read_documents(
    corpus: Path, split: str, kinds: Collection[str] | None = None, languages: Collection[str] | None = None
) -> Iterator[Document]:
    """The documents of a split ("train" or "heldout"), in file order, a row group at a time.

    Raises ChakuError when the corpus has no such files, or one is damaged.
    """
    for path in document_files(corpus, split):
        for document in read_document_file(path):
            if (kinds is None or document.kind in kinds) and (languages is None or document.language in languages):
                yield document


def read_document_file(path: Path) -> Iterator[Document]:
    """The documents of one Parquet file, a row group at a time. Raises ChakuError when the file is damaged."""
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256, columns=[field.name for field in fields(Document)]):
                for row in batch.to_pylist():
                    yield Document(**row)
    except (pa.ArrowInvalid, OSError) as error:
        raise ChakuError(f"{path} cannot be read ({error}); build the corpus again") from error


COMMIT_MARKS = ("<commit_before>", "<commit_msg>", "<commit_after>")  # StarCoder's tokens; else, plain text


def join_commit(path: str, before: str, message: str, after: str) -> str | None:
    """The text of a document of kind "commit"; None if a part has one of the marks in it."""
    parts = (f"{path}\n{before}", message, after)
    if any(mark in part for mark in COMMIT_MARKS for part in parts):
        return None
    return "".join(mark + part for mark, part in zip(COMMIT_MARKS, parts, strict=True))


def split_commit(text: str) -> list[str]:
    """The parts of a commit's text after its three marks; empty for any other text."""
    first, second, third = COMMIT_MARKS
    before, found, rest = text.removeprefix(first).partition(second)
    message, found_too, after = rest.partition(third)
    return [before, message, after] if text.startswith(first) and found and found_too else []


def count_documents(corpus: Path, split: str) -> int:
    """The number of documents in a split. Raises ChakuError as `read_documents` does."""
    try:
        return sum(pq.read_metadata(path).num_rows for path in document_files(corpus, split))
    except (pa.ArrowInvalid, OSError) as error:
        raise ChakuError(f"{corpus} cannot be read ({error}); build the corpus again") from error


def document_files(corpus: Path, split: str) -> list[Path]:
    """The Parquet files of a split, in order. Raises ChakuError when there are none."""
    files = sorted(corpus.glob(f"{split}-*.parquet"))
    if not files:
        raise ChakuError(f"{corpus} has no {split}-*.parquet; build a corpus there first (chaku corpus build)")
    return files
