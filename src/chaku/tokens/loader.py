"""Load batches; each depends only on the seed and a global sample index, not on ranks, workers or restarts."""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from chaku.errors import ChakuError
from chaku.tokens.packed_dataset import PackedDataset, PackedSample


@dataclass(frozen=True, slots=True)
class Batch:
    """One rank's part of a global batch. `tokens`, `document_ids`: (rows, sequence_length + 1) int64.

    `first_sample` is the global index of the global batch's first sample; `infilled_tokens` counts this part only.
    `fallbacks` counts documents whose syntax is not known, likewise. `trained`: the loss mask, (rows, sequence_length
    + 1) bool, None without conversations. `reference`: (rows, largest number of documents in a row) float32, None
    without pairs.
    """

    tokens: Tensor
    document_ids: Tensor
    infilled_tokens: int
    first_sample: int
    trained: Tensor | None = None
    reference: Tensor | None = None
    fallbacks: int = 0

    @property
    def sequence_length(self) -> int:
        """The tokens of a row that the model reads; one more is predicted."""
        return self.tokens.shape[1] - 1

    @property
    def num_valid(self) -> int:
        """The number of tokens that have a loss."""
        valid = self.document_ids[:, 1:] >= 0
        if self.trained is not None:
            valid &= self.trained[:, 1:]
        return int(valid.sum())

    def split(self, rows: int) -> Iterator["Batch"]:
        """Split into micro-batches of `rows` rows; each keeps this batch's counts and `first_sample`."""
        for start in range(0, len(self.tokens), rows):
            part = slice(start, start + rows)
            yield Batch(
                self.tokens[part],
                self.document_ids[part],
                self.infilled_tokens,
                self.first_sample,
                None if self.trained is None else self.trained[part],
                None if self.reference is None else self.reference[part],
                self.fallbacks,
            )


def load_batches(
    dataset: PackedDataset,
    *,
    start: int,
    batch_size: int,
    rank: int = 0,
    world_size: int = 1,
    num_workers: int = 0,
) -> Iterator[Batch]:
    """Endless batches from global sample `start` on. `batch_size` is global; rank r gets the r-th part of every batch.

    Raises ChakuError when `batch_size` is not a multiple of `world_size`.
    """
    if batch_size % world_size:
        raise ChakuError(
            f"a batch of {batch_size} sequences does not divide among {world_size} ranks; use a multiple of that number"
        )
    rows = batch_size // world_size

    def order() -> Iterator[list[int]]:
        first = start
        while True:
            yield list(range(first + rank * rows, first + (rank + 1) * rows))
            first += batch_size

    loader: DataLoader = DataLoader(
        _Indexed(dataset),
        batch_sampler=order(),
        collate_fn=partial(_collate_part, offset=rank * rows),
        num_workers=num_workers,
        worker_init_fn=_leave_signals_to_the_parent,
    )
    return iter(loader)


def collate(items: Sequence[tuple[int, PackedSample]], first: int = 0) -> Batch:
    """The batch of (global index, sample) pairs; `first` is the global index of the global batch's first sample."""
    trained = [sample.trained for _, sample in items if sample.trained is not None]
    reference = [torch.as_tensor(sample.reference) for _, sample in items if sample.reference is not None]
    return Batch(
        torch.from_numpy(np.stack([sample.tokens for _, sample in items]).astype(np.int64)),
        torch.from_numpy(np.stack([sample.document_ids for _, sample in items]).astype(np.int64)),
        sum(sample.infilled_tokens for _, sample in items),
        first,
        torch.from_numpy(np.stack(trained)) if trained else None,
        torch.nn.utils.rnn.pad_sequence(reference, batch_first=True) if reference else None,
        sum(sample.fallbacks for _, sample in items),
    )


def _collate_part(items: Sequence[tuple[int, PackedSample]], offset: int) -> Batch:
    return collate(items, first=items[0][0] - offset)


def _leave_signals_to_the_parent(worker: int) -> None:
    """Ignore Ctrl-C and SIGTERM in a worker: the training process saves first, then ends its workers."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


class _Indexed(torch.utils.data.Dataset):
    def __init__(self, dataset: PackedDataset):
        self.dataset = dataset

    def __getitem__(self, index: int) -> tuple[int, PackedSample]:
        return index, self.dataset[index]
