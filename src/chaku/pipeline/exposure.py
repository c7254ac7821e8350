"""Finds what a run's stages have read of some documents: from the records of the stages, without training anything."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chaku.errors import ChakuError
from chaku.files import RECORD, read_json
from chaku.pipeline.data import ORDER_FILE, REPOSITORIES
from chaku.tokens.load import load_tokenizer
from chaku.tokens.mixture import epoch_key, permute, samples_drawn
from chaku.tokens.packing import PackingPlan, plan_packing
from chaku.tokens.repository_documents import RepositoryDocuments, RepositoryFiles
from chaku.tokens.store import TokenStore
from chaku.training.finished_stage import STAGE_FILE, FinishedStage
from chaku.training.state import saved_states

MOST_PLACES = 1_000_000  # sequences of an unfinished epoch that are looked at one by one; with more, a mean is given


@dataclass(frozen=True)
class Exposure:
    """What a stage has read of some documents.

    `sets`: the sets of its mixture that hold them. `documents`: how many of them its plans for those sets hold.
    `tokens`: of theirs that it was trained on, each time counted, without the parts that fill the ends of sequences.
    `exact`: False for a mean over the orders of the sequences. `inherited`: the ancestors that have read some.
    """

    stage: str
    directory: Path
    finished: bool
    sets: tuple[str, ...]
    documents: int
    tokens: int
    exact: bool
    inherited: tuple[str, ...]
    weights_sha256: str | None

    @property
    def has_seen(self) -> bool:
        """Whether the stage's model has learnt from the documents, in the stage itself or before it."""
        return bool(self.sets or self.inherited)


def exposures(run: Path, documents: np.ndarray) -> list[Exposure]:
    """What each stage of a run has read of some documents of its training tokens. `documents`: indices, int64.

    A stage that has not begun is left out.
    """
    store = TokenStore.open(run / "tokens", "train")
    found: dict[str, Exposure] = {}
    records = {path.parent.name: read_json(path) for path in (run / "stages").glob(f"*/{RECORD}")}
    waiting = dict(sorted(records.items()))
    while waiting:
        # A stage after its parent; where a parent's folder is gone, the stages that are left.
        ready = {
            name: record for name, record in waiting.items() if record["stage"]["parent"] not in waiting
        } or waiting
        for name, record in ready.items():
            found[name] = _exposure(run / "stages" / name, record, store, documents, found)
            del waiting[name]
    return list(found.values())


def _exposure(
    directory: Path, record: dict[str, Any], store: TokenStore, documents: np.ndarray, before: dict[str, Exposure]
) -> Exposure:
    stage = record["stage"]
    parent = before.get(stage["parent"] or "")
    inherited = ((parent.stage,) if parent.sets else ()) + parent.inherited if parent else ()
    finished = FinishedStage.read(directory / STAGE_FILE) if (directory / STAGE_FILE).exists() else None
    length = stage["sequence_length"]
    num_samples = finished.tokens // length if finished else _samples_so_far(directory, stage)
    drawn = samples_drawn(num_samples, list(stage["mixture"].values()), record["seed"])
    sets, held, tokens, exact = [], set(), 0, True
    for source, name in enumerate(stage["mixture"]):
        chosen = record["sets"][name]
        if "kinds" not in chosen or not drawn[source]:  # conversations; or no sample of the set yet
            continue
        indices = store.select(chosen["kinds"], chosen["languages"])
        here = np.intersect1d(indices, documents)
        if not len(here):
            continue
        joins = chosen.get("repositories", False)
        plan = (
            _joined_plan(directory.parents[1], store, indices, length)
            if joins
            else plan_packing(indices, store.lengths, length)
        )
        here = np.intersect1d(here, plan.items[:, 0])
        if not len(here):  # parts of files, which no repository has
            continue
        sets.append(name)
        held.update(here.tolist())
        read, is_exact = _tokens_read(plan, here, int(drawn[source]), record["seed"], source)
        tokens, exact = tokens + read, exact and is_exact
    return Exposure(
        directory.name,
        directory,
        finished is not None,
        tuple(sets),
        len(held),
        tokens,
        exact,
        inherited,
        finished.weights_sha256 if finished else None,
    )


def _samples_so_far(directory: Path, stage: dict[str, Any]) -> int:
    """The samples of an unfinished stage, up to its last saved state."""
    states = saved_states(read_json(directory / "begun.json")["states"]) if (directory / "begun.json").exists() else []
    step = max((state.step for state in states), default=0)
    return step * max(1, stage["training"]["batch_tokens"] // stage["sequence_length"])


def _joined_plan(run: Path, store: TokenStore, indices: np.ndarray, length: int) -> PackingPlan:
    """The plan of the documents that `repositories = true` joins, with an item for each file of a document."""
    order = run / REPOSITORIES / ORDER_FILE
    if not order.exists():
        raise ChakuError(
            f"{order} is missing, which says how a set's repositories were joined; chaku run makes it again"
        )
    files = RepositoryFiles.read(order, indices)
    return RepositoryDocuments(store, files, load_tokenizer(run / "tokenizer"), length).plan_by_file()


def _tokens_read(plan: PackingPlan, documents: np.ndarray, drawn: int, seed: int, source: int) -> tuple[int, bool]:
    """(tokens of `documents` in the first `drawn` sequences of a set, whether they were counted one by one)."""
    sequences = np.repeat(np.arange(len(plan)), np.diff(plan.offsets))
    theirs = np.isin(plan.items[:, 0], documents)
    sizes = (plan.items[:, 2] - plan.items[:, 1])[theirs]
    epochs, rest = divmod(drawn, len(plan))
    if rest > MOST_PLACES:
        return round(int(sizes.sum()) * drawn / len(plan)), False
    key = epoch_key(seed, source, epochs)
    last = np.array([permute(place, len(plan), key) for place in range(rest)], np.int64)
    in_last = np.isin(sequences[theirs], last)
    return int(epochs * sizes.sum() + sizes[in_last].sum()), True
