"""Which documents go into which shard; the workers write the shards while others clean the next pieces."""

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from chaku.corpus.shards import SHARD_BYTES
from chaku.corpus.worker_tasks import PARTS, ShardTask, forget_piece, write_shard

SPLITS = ("train", "heldout")
MAX_UNFINISHED = 4  # pairs of shards that workers write meanwhile: their texts wait on disk


class Assembly:
    """The open shards of both splits. `work`: a `map`, as `worker_map` yields it.

    `num_shards`: finished and waiting shards by split.
    """

    def __init__(
        self,
        directory: Path,
        num_shards: dict[str, int],
        work: Callable[..., Any],
        num_workers: int = 1,
    ):
        self.directory, self.work = directory, work
        self._max_unfinished = min(MAX_UNFINISHED, max(0, num_workers - 1))
        self.num_shards = {split: num_shards[split] for split in SPLITS}
        self._rows: dict[str, dict[int, list[int]]] = {split: {} for split in SPLITS}
        self._train_bytes = 0
        self._pieces: list[int] = []
        self._unfinished: deque[tuple[Iterator[None], list[int], Callable[[], None]]] = deque()

    def add_piece(self, piece: int) -> None:
        """Note a piece, whose file is removed when the open shards are written."""
        self._pieces.append(piece)

    def add(self, split: str, piece: int, row: int, size: int) -> None:
        """Put a row of a piece's file at the end of the open shard. `size`: bytes of its text."""
        self._rows[split].setdefault(piece, []).append(row)
        if split == "train":
            self._train_bytes += size

    @property
    def is_full(self) -> bool:
        return self._train_bytes >= SHARD_BYTES

    def num_shards_after_cut(self) -> dict[str, int]:
        """The numbers of shards by split, with the open ones."""
        return {split: count + bool(self._rows[split]) for split, count in self.num_shards.items()}

    def cut(self, record: Callable[[], None]) -> None:
        """Let workers write the open shards, and begin others. `record` is called when they are written."""
        tasks = [self._task(split) for split in SPLITS if self._rows[split]]
        self._unfinished.append((self.work(write_shard, tasks), self._pieces, record))
        self._pieces, self._train_bytes = [], 0
        while len(self._unfinished) > self._max_unfinished:
            self._finish_first()

    def close(self, record: Callable[[], None]) -> None:
        """Write all shards; a split without documents has one file without rows. Calls `record` at the end."""
        for split in SPLITS:
            if not self.num_shards[split] and not self._rows[split]:
                self._unfinished.append((self.work(write_shard, [self._task(split)]), [], lambda: None))
        self.cut(record)
        while self._unfinished:
            self._finish_first()

    def _task(self, split: str) -> ShardTask:
        rows, self._rows[split] = self._rows[split], {}
        self.num_shards[split] += 1
        places = tuple(np.array(of, np.int64) for of in rows.values())
        return ShardTask(self.directory, split, self.num_shards[split] - 1, tuple(rows), places)

    def _finish_first(self) -> None:
        written, pieces, record = self._unfinished.popleft()
        for _ in written:
            pass
        record()
        for piece in pieces:
            forget_piece(self.directory / PARTS, piece)
