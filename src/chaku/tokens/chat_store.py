"""The store of encoded conversations: the ids and the loss mask of every row, read through memory maps."""

import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from chaku.errors import ChakuError
from chaku.files import atomic_file
from chaku.tokens.chat import ChatRow

_LENGTHS, _CHECKSUMS = "lengths.npy", "crc32.npy"
_IDS, _TRAINED = np.dtype(np.int32), np.dtype(np.bool_)


class ChatStore:
    """`store[i]`: (ids, trained) of row i, (length,) int32 and bool views into the files. `lengths`: tokens by row.

    A row's checksum is checked when the row is first read. Rows form groups of `group_size`: 1 for conversations, 2 for
    pairs (chosen, rejected). Raises ChakuError for a directory that is incomplete and for a damaged row.
    """

    def __init__(self, directory: Path):
        try:
            self.lengths = np.load(directory / _LENGTHS)
            self.group_size = int(np.load(directory / "group_size.npy"))
            total = int(self.lengths.sum())
            self._ids = np.memmap(directory / "ids.bin", _IDS, "r", shape=(total,))
            self._trained = np.memmap(directory / "trained.bin", _TRAINED, "r", shape=(total,))
            has_checksums = (directory / _CHECKSUMS).exists()  # an earlier version wrote none
            self._checksums = np.load(directory / _CHECKSUMS) if has_checksums else None
        except (OSError, ValueError) as error:
            raise ChakuError(f"{directory} is incomplete ({error}); remove it and run again") from error
        self._directory = directory
        self._checked = np.zeros(len(self.lengths), bool)
        self._ends = np.cumsum(self.lengths, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.lengths)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process open the files itself: a pickled memory map would be a copy."""
        return type(self), (self._directory,)

    def __getitem__(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(int(self._ends[row] - self.lengths[row]), int(self._ends[row]))
        ids, trained = self._ids[part], self._trained[part]
        if self._checksums is not None and not self._checked[row]:
            if _checksum(ids, trained) != self._checksums[row]:
                raise ChakuError(f"{self._directory}, row {row}, is damaged; remove the directory and run again")
            self._checked[row] = True
        return ids, trained

    @property
    def group_lengths(self) -> np.ndarray:
        """Tokens of each group, (num_groups,) int64."""
        return self.lengths.astype(np.int64).reshape(-1, self.group_size).sum(axis=1)


def write_chat_store(directory: Path, rows: Iterable[ChatRow], group_size: int = 1) -> ChatStore:
    """Write rows into a directory. The lengths come last, so that a killed process leaves no valid store.

    Raises ChakuError when there are no rows.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / _LENGTHS).unlink(missing_ok=True)
    lengths, checksums = [], []
    with (directory / "ids.bin").open("wb") as ids, (directory / "trained.bin").open("wb") as trained:
        for row in rows:
            assert len(row.ids) == len(row.trained)
            assert any(row.trained)
            parts = (np.asarray(row.ids, _IDS), np.asarray(row.trained, _TRAINED))
            for file, part in zip((ids, trained), parts, strict=True):
                file.write(part.tobytes())
            lengths.append(len(row.ids))
            checksums.append(_checksum(*parts))
    if not lengths:
        raise ChakuError("there is no conversation to train on; check the rows of the data file")
    assert len(lengths) % group_size == 0
    np.save(directory / "group_size.npy", np.asarray(group_size))
    np.save(directory / _CHECKSUMS, np.asarray(checksums, np.uint32))
    with atomic_file(directory / _LENGTHS) as path, path.open("wb") as file:
        np.save(file, np.asarray(lengths, np.int32))
    return ChatStore(directory)


def _checksum(ids: np.ndarray, trained: np.ndarray) -> int:
    return zlib.crc32(trained.data, zlib.crc32(ids.data))
