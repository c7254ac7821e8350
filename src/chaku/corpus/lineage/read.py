"""Read a corpus's lineage: rows of kept and of dropped documents by name or hash, and the copies of a document."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from chaku.corpus.lineage.write import LINEAGE, PREFIX
from chaku.corpus.near_duplicates.drop import DUPLICATES
from chaku.corpus.reading.file_list import FILE_LIST
from chaku.corpus.shards import corpus_files
from chaku.documents import DROPPED
from chaku.errors import ChakuError
from chaku.files import read_json

FILE = "__filename"  # pyarrow's name for the file of a row
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Lineage:
    """What a corpus knows of its documents. `sources`, `checks`: as lineage.json holds them; empty in an older corpus.

    `kept`, `dropped`: the columns of `DROPPED` for kept documents (`reason` and `detail` are null), and for documents
    that were dropped or changed.
    """

    directory: Path
    sources: Rows
    checks: Rows
    kept: ds.Dataset
    dropped: ds.Dataset

    def rows(self, condition: pc.Expression) -> Iterator[dict[str, Any]]:
        """The rows of kept documents, each with its file, and then of the dropped or changed ones."""
        yield from self.kept_rows(condition)
        yield from _rows(self.dropped, condition)

    def kept_rows(self, condition: pc.Expression) -> Iterator[dict[str, Any]]:
        """The rows of kept documents, each with its file."""
        yield from _rows(self.kept, condition)

    def file_hash(self, path: Path) -> str | None:
        """The SHA-256 of a source's file when the corpus read it; None for a file that it did not read."""
        table = self._table(FILE_LIST, pc.field("path") == str(path))
        return (table[0]["sha256"] or None) if table else None

    def files_with_hash(self, prefix: str) -> list[str]:
        """The absolute paths of the sources' files whose SHA-256 begins with `prefix`."""
        return [row["path"] for row in self._table(FILE_LIST, pc.starts_with(pc.field("sha256"), prefix))]

    def near_duplicates(self, condition: pc.Expression) -> Rows:
        """Rows of near-duplicates.parquet: path, source, kept_path, kept_source."""
        return self._table(DUPLICATES, condition)

    def _table(self, name: str, condition: pc.Expression) -> Rows:
        path = self.directory / name
        return ds.dataset(path, format="parquet").to_table(filter=condition).to_pylist() if path.exists() else []


def _rows(dataset: ds.Dataset, condition: pc.Expression) -> Iterator[dict[str, Any]]:
    for batch in dataset.to_batches(columns=[*DROPPED.names, FILE], filter=condition):
        for row in batch.to_pylist():
            yield {**row, FILE: Path(row[FILE]).name}


def open_lineage(directory: Path) -> Lineage:
    """Open the lineage of a corpus, or of the corpus of a run. Raises ChakuError where there is no corpus."""
    corpus = directory / "corpus" if (directory / "corpus").is_dir() else directory
    if not (kept := corpus_files(corpus)):
        raise ChakuError(
            f"{directory} holds no corpus (train-*.parquet); name the directory that `chaku corpus build` or "
            "`chaku run` wrote"
        )
    content = read_json(corpus / LINEAGE) if (corpus / LINEAGE).exists() else {"sources": [], "checks": []}
    dropped = sorted(corpus.glob(f"{PREFIX}-*.parquet"))
    try:
        # A column that a file lacks is null.
        both = [ds.dataset([str(path) for path in paths], DROPPED, format="parquet") for paths in (kept, dropped)]
    except (pa.ArrowException, OSError) as error:
        raise ChakuError(f"{corpus} cannot be read ({error}); build the corpus again") from error
    return Lineage(corpus, content["sources"], content["checks"], *both)
