"""The training text of a tokenizer: a sample of all sources, with the proportions of the stages' mixtures."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from chaku.documents import document_files
from chaku.recipe.schema import DocumentSet, Recipe


def tokenizer_texts(recipe: Recipe, corpus: Path) -> Iterator[str]:
    """About `tokenizer.train_bytes` bytes of the corpus's training documents, in the order of the corpus.

    Each set of documents gives its mean share of the stages' mixtures. If a set is too small for its share, documents
    of all sets fill the rest. Documents are chosen in the order of their hashes, so that every source gives its part.
    """
    files = document_files(corpus, "train")
    columns = ["kind", "language", "bytes", "sha256"]
    table = pa.concat_tables([pq.read_table(path, columns=columns) for path in files])
    chosen = _choose(recipe, table)
    start = 0
    for path in files:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256, columns=["text"]):
                wanted = chosen[start : start + len(batch)]
                start += len(batch)
                yield from batch.column(0).filter(pa.array(wanted)).to_pylist()


def _choose(recipe: Recipe, table: pa.Table) -> np.ndarray:
    """The mask of the chosen documents: bool (num_documents,)."""
    in_order = np.argsort(table["sha256"].to_numpy())  # an order that does not depend on the source
    sizes = table["bytes"].to_numpy()
    chosen = np.zeros(len(table), bool)

    def take(candidates: np.ndarray, num_bytes: float) -> None:
        """Choose the next candidates until they have `num_bytes` bytes."""
        rows = in_order[candidates[in_order] & ~chosen[in_order]]
        before = np.cumsum(sizes[rows]) - sizes[rows]
        chosen[rows[before < num_bytes]] = True

    kinds, languages = (np.asarray(table[name].to_pylist()) for name in ("kind", "language"))
    for name, share in _shares(recipe).items():
        selection = recipe.sets[name]
        assert isinstance(selection, DocumentSet)
        candidates = np.ones(len(table), bool)
        for values, wanted in ((kinds, selection.kinds), (languages, selection.languages)):
            if wanted is not None:
                candidates &= np.isin(values, wanted)
        take(candidates, share * recipe.tokenizer.train_bytes)
    take(np.ones(len(table), bool), recipe.tokenizer.train_bytes - int(sizes[chosen].sum()))
    return chosen


def _shares(recipe: Recipe) -> dict[str, float]:
    """Each document set's share of the tokens of all stages, if all stages were equally long."""
    shares: dict[str, float] = {}
    for stage in recipe.stages.values():
        weights = {n: w for n, w in stage.mixture.items() if isinstance(recipe.sets[n], DocumentSet)}
        for name, weight in weights.items():
            shares[name] = shares.get(name, 0.0) + weight / sum(weights.values())
    return {name: share / sum(shares.values()) for name, share in shares.items()}
