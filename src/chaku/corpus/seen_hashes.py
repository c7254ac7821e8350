"""The hashes of the documents that a corpus holds: the latest in memory, all others sorted on disk."""

import itertools
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

HASH_BYTES = 16  # of a SHA-256; two of 2e9 documents share them with a probability of 1e-20
RECENT = 1 << 18  # hashes in memory, about 25 MB; a file holds as many
FILES_OF_A_SIZE = 8  # files of about the same size, before they are merged to one
AT_A_TIME = 1 << 20  # hashes in memory during a merge


class SeenHashes:
    """A set of hashes whose memory does not grow. `directory`: for its files; whatever it holds is removed first."""

    def __init__(self, directory: Path):
        shutil.rmtree(directory, ignore_errors=True)
        self.directory = directory
        self._recent: set[bytes] = set()
        self._found: set[bytes] = set()
        self._levels: list[list[np.ndarray]] = []  # sorted; each array is a memory map
        self._numbers = itertools.count()

    def look_up(self, digests: Iterable[bytes]) -> None:
        """Find which of these digests are in the files: `in` knows these digests, and those added since, only."""
        sought = np.array(sorted(digest[:HASH_BYTES] for digest in digests), f"S{HASH_BYTES}")
        self._found = set()
        for array in itertools.chain.from_iterable(self._levels) if len(sought) else ():
            places = np.searchsorted(array, sought)
            inside = places < len(array)
            there = np.asarray(array[places[inside]]) == sought[inside]
            self._found.update(_whole(hash_) for hash_ in sought[inside][there].tolist())

    def __contains__(self, digest: bytes) -> bool:
        return digest[:HASH_BYTES] in self._recent or digest[:HASH_BYTES] in self._found

    def add(self, digest: bytes) -> None:
        """Add a digest."""
        self._recent.add(digest[:HASH_BYTES])
        if len(self._recent) >= RECENT:
            self._put(0, [np.array(sorted(self._recent), f"S{HASH_BYTES}")])
            self._found |= self._recent
            self._recent = set()

    def forget(self) -> None:
        """Remove the files."""
        self._levels = []
        shutil.rmtree(self.directory, ignore_errors=True)

    def _put(self, level: int, arrays: list[np.ndarray]) -> None:
        """Write sorted arrays as one file, a range of values at a time; merge files when there are many of a size."""
        if level == len(self._levels):
            self._levels.append([])
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"{next(self._numbers):06}.npy"
        size = sum(map(len, arrays))
        merged = np.lib.format.open_memmap(path, "w+", f"S{HASH_BYTES}", (size,))
        num_ranges = -(-size // AT_A_TIME)
        bounds = [number * (1 << 64) // num_ranges for number in range(1, num_ranges)]
        first = np.array([bound.to_bytes(8, "big") for bound in bounds], f"S{HASH_BYTES}")
        cuts = [[0, *np.searchsorted(array, first).tolist(), len(array)] for array in arrays]
        at = 0
        for number in range(num_ranges):
            parts = [array[cut[number] : cut[number + 1]] for array, cut in zip(arrays, cuts, strict=True)]
            values = np.sort(np.concatenate(parts), kind="stable")
            merged[at : at + len(values)] = values
            at += len(values)
        merged.flush()
        self._levels[level].append(np.load(path, mmap_mode="r"))
        for array in arrays:
            if isinstance(array, np.memmap):
                Path(str(array.filename)).unlink()
        if len(self._levels[level]) == FILES_OF_A_SIZE:
            arrays, self._levels[level] = self._levels[level], []
            self._put(level + 1, arrays)


def _whole(value: bytes) -> bytes:
    """numpy leaves out the zeros at the end."""
    return value.ljust(HASH_BYTES, b"\0")
