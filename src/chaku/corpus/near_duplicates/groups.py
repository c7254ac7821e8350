"""Groups of near-duplicates: pairs that share a band are compared, similar pairs joined; one of a group is kept."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chaku.corpus.near_duplicates.gram_store import BANDS, GramStore
from chaku.corpus.near_duplicates.minhash import at_least_as_similar

MAX_COMPARED = 32  # documents of a bucket with which its other documents are compared
GROUPED = 1 << 20  # members of groups that are ordered in memory at a time


class Groups:
    """Connected components, a number on disk for every document: its parent in its group's tree (Tarjan's union-find).

    The root of a group is its first document. The file is a memory map, so memory does not grow with the corpus.
    """

    def __init__(self, path: Path, size: int):
        self.parents = np.lib.format.open_memmap(path, "w+", np.int64, (max(1, size),))
        self.parents[:] = np.arange(len(self.parents))

    def root(self, document: int) -> int:
        while (parent := int(self.parents[document])) != document:
            self.parents[document] = self.parents[parent]  # path halving
            document = parent
        return document

    def join(self, first: int, second: int) -> None:
        first, second = sorted((self.root(first), self.root(second)))
        self.parents[second] = first


def find_groups(store: GramStore, path: Path, threshold: float, gone: np.ndarray) -> Groups:
    """Join all pairs that share a band and are similar enough. `gone`: to leave out, (num_documents,) bool."""
    groups = Groups(path, len(store))
    for band in range(BANDS):
        for bucket in store.buckets(band):
            compared: list[int] = []
            for document in bucket[~gone[bucket]].tolist():
                for other in compared:
                    # A shared band is a hint; the n-grams decide. A pair in one group needs no decision.
                    if groups.root(other) != groups.root(document) and at_least_as_similar(
                        store[other], store[document], threshold
                    ):
                        groups.join(other, document)
                if len(compared) < MAX_COMPARED:
                    compared.append(document)
    return groups


def duplicates(store: GramStore, groups: Groups) -> Iterator[pa.Table]:
    """The documents of groups that are not the copy to keep: (document, kept), with the columns that tell of both.

    What an earlier corpus holds is kept. Otherwise the copy to keep has the most stars; then the latest date; then the
    first path.
    """
    members = _members(groups)
    num_parts = -(-int(members.sum()) // GROUPED)
    for part in range(num_parts):
        table = pa.concat_tables(
            _about_members(first, about, groups, members, part, num_parts) for first, about in store.about()
        )
        order, starts = best_first(table)
        table = table.take(order)
        kept = np.repeat(starts, np.diff(starts, append=len(table)))
        is_copy = np.arange(len(table)) != kept
        for name in ("document", "path", "source"):
            table = table.append_column(f"kept_{name}", table[name].take(pa.array(kept)))
        yield table.filter(pa.array(is_copy) if len(table) else pa.array([], pa.bool_()))


def best_first(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """The order that puts the rows of a `group` together with the best first, and the place where each group begins."""
    order = pc.sort_indices(
        table,
        [
            ("group", "ascending"),
            ("before", "descending"),
            ("stars", "descending"),
            ("date", "descending"),
            ("path", "ascending"),
        ],
    )
    groups = table["group"].take(order).to_numpy()
    return order, np.flatnonzero(np.diff(groups, prepend=-1))


def _members(groups: Groups) -> np.ndarray:
    """The documents that are in a group with others, (num_documents,) bool."""
    members = np.zeros(len(groups.parents), bool)
    for first in range(0, len(members), GROUPED):
        part = groups.parents[first : first + GROUPED]
        (joined,) = np.nonzero(part != np.arange(first, first + len(part)))
        members[first + joined] = True
        members[part[joined]] = True
    return members


def _about_members(
    first: int, about: pa.Table, groups: Groups, members: np.ndarray, part: int, num_parts: int
) -> pa.Table:
    documents = first + np.flatnonzero(members[first : first + len(about)])
    roots = np.array([groups.root(document) for document in documents.tolist()], np.int64)
    chosen = roots % num_parts == part
    documents, roots = documents[chosen], roots[chosen]
    rows = about.take(pa.array(documents - first))
    return rows.append_column("document", pa.array(documents)).append_column("group", pa.array(roots))
