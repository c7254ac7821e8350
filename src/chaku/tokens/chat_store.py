"""Rows of conversations, encoded once: ids, and which of them are trained on, read through memory maps."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from chaku.errors import ChakuError
from chaku.files import atomic_directory
from chaku.tokens.chat import ChatRow

_IDS, _TRAINED = np.dtype(np.int32), np.dtype(np.bool_)


class ChatStore:
    """`store[i]`: (ids, trained) of row i, views into the files. `lengths`: tokens of each row.

    Rows come in groups of `group_size` that belong together: 1 for conversations, 2 for pairs (chosen, rejected).
    """

    def __init__(self, directory: Path):
        try:
            self.lengths = np.load(directory / "lengths.npy")
            self.group_size = int(np.load(directory / "group_size.npy"))
            total = int(self.lengths.sum())
            self._ids = np.memmap(directory / "ids.bin", _IDS, "r", shape=(total,))
            self._trained = np.memmap(directory / "trained.bin", _TRAINED, "r", shape=(total,))
        except (OSError, ValueError) as error:
            raise ChakuError(f"{directory} is not whole ({error}); remove it and run again") from error
        self._ends = np.cumsum(self.lengths, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(int(self._ends[row] - self.lengths[row]), int(self._ends[row]))
        return self._ids[part], self._trained[part]

    @property
    def group_lengths(self) -> np.ndarray:
        """Tokens of each group, (num_groups,) int64."""
        return self.lengths.astype(np.int64).reshape(-1, self.group_size).sum(axis=1)


def write_chat_store(directory: Path, rows: Iterable[ChatRow], group_size: int = 1) -> ChatStore:
    """Write rows into a directory that is whole or absent. Raises ChakuError when there are none."""
    lengths = []
    with atomic_directory(directory) as temporary:
        with (temporary / "ids.bin").open("wb") as ids, (temporary / "trained.bin").open("wb") as trained:
            for row in rows:
                assert len(row.ids) == len(row.trained)
                assert any(row.trained)
                ids.write(np.asarray(row.ids, _IDS).tobytes())
                trained.write(np.asarray(row.trained, _TRAINED).tobytes())
                lengths.append(len(row.ids))
        if not lengths:
            raise ChakuError("there is no conversation to train on")
        assert len(lengths) % group_size == 0
        np.save(temporary / "lengths.npy", np.asarray(lengths, np.int32))
        np.save(temporary / "group_size.npy", np.asarray(group_size))
    return ChatStore(directory)
