"""Sets of n-grams on disk, with the keys by which similar sets are found: memory does not grow with a corpus."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from chaku.corpus.near_duplicates.minhash import Grams, bands_of, signatures_of
from chaku.files import atomic_directory

BANDS, ROWS = 25, 10  # of 256 permutations: BigCode's choice for a similarity of 0.7
REPOSITORY = BANDS  # the number of the key that the files of a repository share
NO_KEY = 0  # of a file that is in no repository
BUCKET_KEYS = 1 << 23  # keys that are sorted in memory at a time: 16 bytes each


def write_unit(directory: Path, number: int, grams: Grams, about: pa.Table, repositories: np.ndarray) -> None:
    """Write the sets of a unit; a unit that is there is whole.

    `about`: what the documents are, a row each. `repositories`: (num_texts,) uint64, 0 for none.
    """
    (with_grams,) = np.nonzero(np.diff(grams.offsets))
    some = Grams(grams.values, np.concatenate([grams.offsets[with_grams], grams.offsets[-1:]]))
    keys = np.column_stack([bands_of(signatures_of(some), BANDS, ROWS), repositories[with_grams]]).T
    order = np.argsort(keys, axis=1, kind="stable")
    with atomic_directory(_unit(directory, number)) as path:
        np.save(path / "values.npy", grams.values)
        np.save(path / "offsets.npy", grams.offsets)
        np.save(path / "keys.npy", np.take_along_axis(keys, order, axis=1))
        np.save(path / "order.npy", with_grams[order].astype(np.uint32))
        pq.write_table(about, path / "about.parquet", compression="zstd")


def has_unit(directory: Path, number: int) -> bool:
    """Whether the unit was written before."""
    return _unit(directory, number).exists()


def _unit(directory: Path, number: int) -> Path:
    return directory / f"{number:05}"


class GramStore:
    """The units of a directory. A document's number is its place in the units, one after the other.

    All arrays are memory maps: the system reads the parts that are used.
    """

    def __init__(self, directory: Path, num_units: int):
        self.units = [_unit(directory, number) for number in range(num_units)]
        offsets = [np.load(unit / "offsets.npy", mmap_mode="r") for unit in self.units]
        self.firsts = np.cumsum([0, *(len(part) - 1 for part in offsets)], dtype=np.int64)
        self._offsets = offsets

    def __len__(self) -> int:
        return int(self.firsts[-1])

    def __getitem__(self, document: int) -> np.ndarray:
        """The n-grams of a document, ascending, uint32."""
        unit = int(np.searchsorted(self.firsts, document, side="right")) - 1
        first, last = self._offsets[unit][document - self.firsts[unit] :][:2]
        return self._values[unit][first:last]

    def about(self) -> Iterator[tuple[int, pa.Table]]:
        """Of each unit: the number of its first document, and what its documents are."""
        for first, unit in zip(self.firsts.tolist(), self.units, strict=False):
            yield first, pq.read_table(unit / "about.parquet")

    def buckets(self, key: int, at_least: int = 2) -> Iterator[np.ndarray]:
        """The numbers of the documents that share a value of a key, for each value that `at_least` documents share.

        The keys of a unit are sorted, so that a range of values is a slice of every unit: a merge of sorted files.
        """
        num_keys = sum(keys.shape[1] for keys in self._keys)
        num_ranges = -(-num_keys // BUCKET_KEYS) if num_keys else 0
        bounds = [number * (1 << 64) // num_ranges for number in range(1, num_ranges)]
        cuts = [
            [0, *np.searchsorted(keys[key], np.array(bounds, np.uint64)).tolist(), keys.shape[1]] for keys in self._keys
        ]
        for number in range(num_ranges):
            values, documents = [], []
            for unit, (first, last) in enumerate(cut[number : number + 2] for cut in cuts):
                values.append(self._keys[unit][key, first:last])
                documents.append(self._order[unit][key, first:last] + self.firsts[unit])
            yield from _runs(np.concatenate(values), np.concatenate(documents), at_least)

    @cached_property
    def _values(self) -> list[np.ndarray]:
        return [np.load(unit / "values.npy", mmap_mode="r") for unit in self.units]

    @cached_property
    def _keys(self) -> list[np.ndarray]:
        return [np.load(unit / "keys.npy", mmap_mode="r") for unit in self.units]

    @cached_property
    def _order(self) -> list[np.ndarray]:
        return [np.load(unit / "order.npy", mmap_mode="r") for unit in self.units]


def _runs(values: np.ndarray, documents: np.ndarray, at_least: int) -> Iterator[np.ndarray]:
    order = np.argsort(values, kind="stable")
    values, documents = values[order], documents[order]
    starts = np.flatnonzero(np.diff(values, prepend=~values[:1]))
    stops = np.append(starts[1:], len(values))
    wanted = (stops - starts >= at_least) & (values[starts] != NO_KEY)
    for start, stop in zip(starts[wanted].tolist(), stops[wanted].tolist(), strict=True):
        yield documents[start:stop]
