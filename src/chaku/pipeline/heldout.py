"""The held-out rows whose losses a stage logs: of documents, conversations and pairs."""

from pathlib import Path

import numpy as np

from chaku.model.llama import Llama
from chaku.pipeline.chat_sets import open_heldout
from chaku.recipe.schema import DocumentSet, Recipe, StageConfig
from chaku.tokens.loader import Batch, collate
from chaku.tokens.packed_dataset import ChatSet, PackedDataset, TokenSet
from chaku.tokens.packing import plan_whole
from chaku.tokens.store import TokenStore
from chaku.tokens.tokenizer import Tokenizer
from chaku.training.dpo import with_reference
from chaku.training.ranks import ALONE, Ranks

HELDOUT_ROWS = 8  # sequences of each set, at most


def heldout_batches(
    recipe: Recipe,
    directory: Path,
    stage: StageConfig,
    tokenizer: Tokenizer,
    model: Llama,
    path: Path,
    ranks: Ranks = ALONE,
) -> dict[str, Batch]:
    """The first held-out sequences of each set of a stage that has such rows. `directory`: the run's directory.

    `model`: before training, the reference of pairs. `path`: the stage's folder, where the log-probabilities of the
    pairs' replies are kept.
    """
    batches: dict[str, Batch] = {}
    for name in stage.mixture:
        is_documents = isinstance(recipe.sets[name], DocumentSet)
        store = TokenStore.open(directory / "tokens", "heldout") if is_documents else None
        part = (
            _documents(recipe, store, name) if store is not None else _replies(directory, name, stage.sequence_length)
        )
        if part is None:
            continue
        dataset = PackedDataset(store, [part], stage.sequence_length, tokenizer, 0, infilling=None)
        if stage.dpo:
            dataset = with_reference(model, dataset, stage.training, path, ranks)
        rows = HELDOUT_ROWS if is_documents else min(HELDOUT_ROWS, len(dataset.plans[0]))
        batches[name] = collate([(row, dataset[row]) for row in range(rows)])
    return batches


def _documents(recipe: Recipe, store: TokenStore, name: str) -> TokenSet | None:
    indices = select_documents(recipe, store, name)
    return TokenSet(name, indices, 1.0) if len(indices) else None


def _replies(directory: Path, name: str, sequence_length: int) -> ChatSet | None:
    store = open_heldout(name, directory)
    if store is None or len(plan_whole(store.group_lengths, sequence_length)) == 0:
        return None
    return ChatSet(f"{name}.heldout", store, 1.0)  # the name of its file of reference log-probabilities


def select_documents(recipe: Recipe, store: TokenStore, name: str) -> np.ndarray:
    """The indices of the documents of a set in a store, int64."""
    selection = recipe.sets[name]
    assert isinstance(selection, DocumentSet)
    return store.select(kinds=selection.kinds, languages=selection.languages)
