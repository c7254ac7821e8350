"""Plan which documents share a sequence, from their lengths and before infilling, so that few documents are cut."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

# Free tokens for a document that may be infilled: four infilling tokens, and the growth of two re-encoded lines.
INFILLING_ROOM = 8
BLOCK = 1 << 18  # documents that are packed together; bounds the memory and the time of planning


@dataclass(frozen=True)
class PackingPlan:
    """`items`: (num_items, 3) int64: document, start and stop, counted with BOS and EOS.

    `offsets`: (num_sequences + 1,) int64. Sequence s holds items[offsets[s] : offsets[s + 1]]. The loader fills the
    room that its items leave free.
    """

    items: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1


def plan_packing(documents: np.ndarray, lengths: np.ndarray, sequence_length: int) -> PackingPlan:
    """Best-fit decreasing: each document, longest first, goes into the sequence where it leaves the least room.

    `documents`: indices into `lengths` (tokens without BOS and EOS). A sequence holds `sequence_length` + 1 tokens. A
    longer document fills sequences of its own, and its rest is packed like a document.
    """
    capacity = sequence_length + 1
    starts = range(0, len(documents), BLOCK)
    return join_blocks(_plan_block(documents[first : first + BLOCK], lengths, capacity) for first in starts)


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


def join_blocks(blocks: Iterable[list[list[tuple[int, int, int]]]]) -> PackingPlan:
    items = [np.zeros((0, 3), np.int64)]
    sizes = [np.zeros(1, np.int64)]
    for block in blocks:
        items.append(np.array([item for sequence in block for item in sequence], dtype=np.int64).reshape(-1, 3))
        sizes.append(np.array([len(sequence) for sequence in block], dtype=np.int64))
    return PackingPlan(np.concatenate(items), np.cumsum(np.concatenate(sizes)))


def _plan_block(documents: np.ndarray, lengths: np.ndarray, capacity: int) -> list[list[tuple[int, int, int]]]:
    sequences: list[list[tuple[int, int, int]]] = []
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


def best_fit(pieces: list[tuple[int, tuple[int, int, int]]], capacity: int) -> list[list[tuple[int, int, int]]]:
    """Put every (room needed, item), largest first, into the sequence where it leaves the least room."""
    sequences: list[list[tuple[int, int, int]]] = []
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
