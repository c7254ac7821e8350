"""Plan which documents share a sequence, from their lengths and before infilling, so that few documents are cut.

A plan may be kept in a folder: it is made once, a block at a time, and every process maps it into its memory.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chaku.files import atomic_directory

# Free tokens for a document that may be infilled: four infilling tokens, and the growth of two re-encoded lines.
INFILLING_ROOM = 8
BLOCK = 1 << 18  # documents that are packed together; bounds the memory and the time of planning
Block = list[list[tuple[int, int, int]]]  # the items of each sequence

_ITEMS, _OFFSETS = "items.bin", "offsets.bin"  # int64, in the folder of a plan


@dataclass(frozen=True)
class PackingPlan:
    """`items`: (num_items, 3) int64: document, start and stop, counted with BOS and EOS.

    `offsets`: (num_sequences + 1,) int64. Sequence s holds items[offsets[s] : offsets[s + 1]]. The loader fills the
    room that its items leave free. `directory`: of the files of a plan that is kept.
    """

    items: np.ndarray
    offsets: np.ndarray
    directory: Path | None = None

    @classmethod
    def open(cls, directory: Path) -> "PackingPlan":
        """Map the plan that `write_plan` wrote into memory."""
        items, offsets = (_mapped(directory / name) for name in (_ITEMS, _OFFSETS))
        return cls(items.reshape(-1, 3), offsets, directory)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process open the files itself: a pickled memory map would be a copy."""
        if self.directory is not None:
            return PackingPlan.open, (self.directory,)
        return PackingPlan, (self.items, self.offsets)


def plan_packing(
    documents: np.ndarray, lengths: np.ndarray, sequence_length: int, directory: Path | None = None
) -> PackingPlan:
    """Best-fit decreasing: each document, longest first, goes into the sequence where it leaves the least room.

    `documents`: indices into `lengths` (tokens without BOS and EOS). A sequence holds `sequence_length` + 1 tokens. A
    longer document fills sequences of its own, and its rest is packed like a document. `directory`: where to keep the
    plan; a plan that is there is opened, not made.
    """
    if directory is None:
        return join_blocks(plan_blocks(documents, lengths, sequence_length))
    if not directory.exists():
        with atomic_directory(directory) as path:
            write_plan(path, plan_blocks(documents, lengths, sequence_length))
    return PackingPlan.open(directory)


def plan_whole(lengths: np.ndarray, sequence_length: int) -> PackingPlan:
    """Pack rows that are never cut and get no BOS and EOS. Rows longer than a sequence are left out.

    `lengths`: (num_rows,), tokens. An item's document is the row's number.
    """
    capacity = sequence_length + 1
    starts = range(0, len(lengths), BLOCK)
    return join_blocks(
        best_fit(
            [
                (length, (number, 0, length))
                for number, length in enumerate(lengths[first : first + BLOCK].tolist(), first)
                if length <= capacity
            ],
            capacity,
        )
        for first in starts
    )


def join_blocks(blocks: Iterable[Block]) -> PackingPlan:
    """A plan in memory from its blocks."""
    items, sizes = [np.zeros((0, 3), np.int64)], [np.zeros(1, np.int64)]
    for block in blocks:
        items.append(_items(block))
        sizes.append(_sizes(block))
    return PackingPlan(np.concatenate(items), np.cumsum(np.concatenate(sizes)))


def write_plan(directory: Path, blocks: Iterable[Block]) -> None:
    """Write a plan's files into a folder; a block is in memory at a time."""
    with (directory / _ITEMS).open("wb") as items, (directory / _OFFSETS).open("wb") as offsets:
        end = np.zeros(1, np.int64)
        offsets.write(end.tobytes())
        for block in blocks:
            ends = end[-1] + np.cumsum(_sizes(block))
            items.write(_items(block).tobytes())
            offsets.write(ends.tobytes())
            end = ends if len(ends) else end


def _items(block: Block) -> np.ndarray:
    return np.array([item for sequence in block for item in sequence], dtype=np.int64).reshape(-1, 3)


def _sizes(block: Block) -> np.ndarray:
    return np.array([len(sequence) for sequence in block], dtype=np.int64)


def _mapped(path: Path) -> np.ndarray:
    return np.asarray(np.memmap(path, np.int64, "r")) if path.stat().st_size else np.zeros(0, np.int64)


def plan_blocks(documents: np.ndarray, lengths: np.ndarray, sequence_length: int) -> Iterator[Block]:
    """The blocks of the plan of some documents, as `plan_packing` describes them."""
    for first in range(0, len(documents), BLOCK):
        yield _plan_block(documents[first : first + BLOCK], lengths, sequence_length + 1)


def _plan_block(documents: np.ndarray, lengths: np.ndarray, capacity: int) -> Block:
    sequences: Block = []
    pieces: list[tuple[int, tuple[int, int, int]]] = []  # room needed, item
    for document in documents.tolist():
        total = int(lengths[document]) + 2
        if total + INFILLING_ROOM <= capacity:
            pieces.append((total + INFILLING_ROOM, (document, 0, total)))
            continue
        for start in range(0, total - capacity + 1, capacity):
            sequences.append([(document, start, start + capacity)])
        rest = total % capacity
        if rest:
            pieces.append((rest, (document, total - rest, total)))
    return sequences + best_fit(pieces, capacity)


def best_fit(pieces: list[tuple[int, tuple[int, int, int]]], capacity: int) -> Block:
    """Put every (room needed, item), largest first, into the sequence where it leaves the least room."""
    sequences: Block = []
    pieces.sort(key=lambda piece: (-piece[0], piece[1]))
    # with_room[r] holds the open sequences with r free tokens; bit r of `sizes` is set when with_room[r] is not empty.
    with_room: list[list[int]] = [[] for _ in range(capacity + 1)]
    sizes = 0
    for needed, item in pieces:
        fitting = sizes >> needed
        if fitting:
            room = needed + (fitting & -fitting).bit_length() - 1
            sequence = with_room[room].pop()
            if not with_room[room]:
                sizes &= ~(1 << room)
            sequences[sequence].append(item)
        else:
            room, sequence = capacity, len(sequences)
            sequences.append([item])
        left = room - needed
        with_room[left].append(sequence)
        sizes |= 1 << left
    return sequences
