"""Load batches; each depends only on the seed and a global sample index, not on ranks, workers or restarts."""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from chaku.errors import ChakuError
from chaku.tokens.chat_store import ChatStore
from chaku.tokens.config import InfillingConfig
from chaku.tokens.infilling import Infiller
from chaku.tokens.mixture import epoch_key, permute, source_of
from chaku.tokens.packing import PackingPlan, plan_packing, plan_whole
from chaku.tokens.repository_documents import RepositoryDocuments, RepositoryFiles
from chaku.tokens.store import TokenStore
from chaku.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class TokenSet:
    """Documents of a store, by their indices (int64), and their weight in the mixture.

    `repositories`: the same files in the order of their repositories, to be joined into documents of several files.
    """

    name: str
    indices: np.ndarray
    weight: float
    repositories: RepositoryFiles | None = None


@dataclass(frozen=True)
class ChatSet:
    """Conversations or pairs of a store, and their weight in the mixture.

    `reference`, for pairs only: (number of rows,) float32, the log-probability of each reply under the reference model,
    with which training began.
    """

    name: str
    store: ChatStore
    weight: float
    reference: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class PackedSample:
    """One sequence. `tokens`, `document_ids`: (sequence_length + 1,) int32; document ids count from 0 in a sequence.

    In a mixture with conversations, `trained` is the loss mask, (sequence_length + 1,) bool, and document id -1 is
    padding. For pairs, `reference` has one number per document: chosen, rejected, chosen, rejected ... `fallbacks`: the
    number of documents that were to be cut by their syntax, and were cut at random characters.
    """

    tokens: np.ndarray
    document_ids: np.ndarray
    infilled_tokens: int
    set_name: str
    epoch: int
    trained: np.ndarray | None = None
    reference: np.ndarray | None = None
    fallbacks: int = 0


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


class PackedDataset:
    """Endless packed, infilled sequences from a weighted mixture. `dataset[i]` depends on (seed, i) only.

    `num_samples`: the length of the stage, over which a rate of infilling changes; without it, the first rate stays.
    Raises ChakuError for a set without documents, and for conversations that are all longer than a sequence.
    """

    def __init__(
        self,
        store: TokenStore | None,
        sets: Sequence[TokenSet | ChatSet],
        sequence_length: int,
        tokenizer: Tokenizer,
        seed: int,
        infilling: InfillingConfig | None = None,
        infill_sets: Sequence[str] | None = None,
        num_samples: int | None = None,
    ):
        self.store = store
        self.sets = sets
        self.sequence_length = sequence_length
        self.seed = seed
        self.bos_id, self.eos_id = tokenizer.bos_id, tokenizer.eos_id
        self.infiller = Infiller(tokenizer, infilling, seed) if infilling else None
        self.infill_sets = infill_sets
        self.num_samples = num_samples
        self.weights = [part.weight for part in sets]
        self.joined = [
            RepositoryDocuments(store, part.repositories, tokenizer, sequence_length)
            if store is not None and isinstance(part, TokenSet) and part.repositories is not None
            else None
            for part in sets
        ]
        self.plans = [
            joined.plan if joined else self._plan(part) for part, joined in zip(sets, self.joined, strict=True)
        ]
        for part, plan in zip(sets, self.plans, strict=True):
            if len(plan) == 0:
                raise ChakuError(
                    f"the set {part.name!r} has no documents; check its kinds and languages, or leave it out"
                    if isinstance(part, TokenSet)
                    else f"nothing in the set {part.name!r} fits a sequence of {sequence_length} tokens; its shortest "
                    f"row has {part.store.group_lengths.min()}: raise sequence_length"
                )

    def __getitem__(self, index: int) -> PackedSample:
        source, position = source_of(index, self.weights, self.seed)
        plan, chosen = self.plans[source], self.sets[source]
        epoch, place = divmod(position, len(plan))
        key = epoch_key(self.seed, source, epoch)
        sequence = permute(place, len(plan), key)
        if isinstance(chosen, ChatSet):
            return self.conversations(source, sequence, epoch)
        items = plan.items[plan.offsets[sequence] : plan.offsets[sequence + 1]].tolist()
        infiller = self.infiller
        if self.infill_sets is not None and chosen.name not in self.infill_sets:
            infiller = None
        room = self.sequence_length + 1
        parts: list[np.ndarray] = []
        infilled = fallbacks = 0
        assert self.store is not None
        progress = min(index / self.num_samples, 1.0) if self.num_samples else 0.0
        needed = sum(stop - start for _, start, stop in items)
        for document, start, stop in items:
            needed -= stop - start
            if (joined := self.joined[source]) and document < 0:
                built = joined.build(-document, infiller, epoch, room - needed, progress)
                infilled += built.infilled_tokens
                fallbacks += built.fallbacks
                parts.append(built.ids)
                room -= len(built.ids)
                continue
            ids = None
            is_whole = stop - start == self.store.lengths[document] + 2
            if infiller and is_whole and self.store.may_be_infilled(document):
                spliced = infiller(self.store[document], document, epoch, self.store.language(document), progress)
                if len(spliced.ids) <= room - needed:  # else infilling added too many tokens: do not infill
                    ids = spliced.ids
                    infilled += len(ids) if spliced.mode else 0
                    fallbacks += spliced.fell_back
            if ids is None:
                ids = self._piece(document, start, stop)
            parts.append(ids)
            room -= len(ids)
        draws = np.random.Generator(np.random.Philox(key=[key % (1 << 64), sequence]))
        while room > 0:
            # Fill the free room with parts of random documents, so that there is no padding.
            document = int(chosen.indices[draws.integers(len(chosen.indices))])
            total = int(self.store.lengths[document]) + 2
            start = int(draws.integers(max(1, total - room + 1)))
            parts.append(self._piece(document, start, min(total, start + room)))
            room -= len(parts[-1])
        numbers = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
        trained = np.ones(len(numbers), np.bool_) if self.has_conversations else None
        return PackedSample(np.concatenate(parts), numbers, infilled, chosen.name, epoch, trained, None, fallbacks)

    @cached_property
    def has_conversations(self) -> bool:
        return any(isinstance(part, ChatSet) for part in self.sets)

    def _plan(self, chosen: TokenSet | ChatSet) -> PackingPlan:
        if isinstance(chosen, ChatSet):
            return plan_whole(chosen.store.group_lengths, self.sequence_length)
        assert self.store is not None
        return plan_packing(chosen.indices, self.store.lengths, self.sequence_length)

    def rows(self, source: int, sequence: int) -> list[int]:
        """The store's rows in one sequence of a set of conversations, in order. `source`: the set's index."""
        chosen, plan = self.sets[source], self.plans[source]
        assert isinstance(chosen, ChatSet)
        groups = plan.items[plan.offsets[sequence] : plan.offsets[sequence + 1], 0].tolist()
        size = chosen.store.group_size
        return [row for group in groups for row in range(group * size, (group + 1) * size)]

    def conversations(self, source: int, sequence: int, epoch: int = 0) -> PackedSample:
        """A sequence of whole rows, each a document. Padding has document id -1; its token 0 may be a real id too."""
        chosen, rows = self.sets[source], self.rows(source, sequence)
        assert isinstance(chosen, ChatSet)
        tokens = np.zeros(self.sequence_length + 1, np.int32)
        numbers = np.full(self.sequence_length + 1, -1, np.int32)
        trained = np.zeros(self.sequence_length + 1, np.bool_)
        at = 0
        for number, row in enumerate(rows):
            ids, wanted = chosen.store[row]
            part = slice(at, at + len(ids))
            tokens[part], numbers[part], trained[part] = ids, number, wanted
            at += len(ids)
        reference = None if chosen.reference is None else chosen.reference[rows]
        return PackedSample(tokens, numbers, 0, chosen.name, epoch, trained, reference)

    def _piece(self, document: int, start: int, stop: int) -> np.ndarray:
        """Tokens `start` to `stop` of the document between BOS and EOS, int32."""
        assert self.store is not None
        ids = self.store[document]
        piece = np.empty(stop - start, dtype=np.int32)
        first, last = max(start, 1), min(stop, len(ids) + 1)
        piece[first - start : last - start] = ids[first - 1 : last - 1]
        if start == 0:
            piece[0] = self.bos_id
        if stop == len(ids) + 2:
            piece[-1] = self.eos_id
        return piece


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
