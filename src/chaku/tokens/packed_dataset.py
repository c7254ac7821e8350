"""Sequences of packed and infilled documents and conversations; each depends on the seed and its index alone."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

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


class PackedDataset:
    """Endless packed, infilled sequences from a weighted mixture. `dataset[i]` depends on (seed, i) only.

    `num_samples`: the length of the stage, over which a rate of infilling changes; without it, the first rate stays.
    `plans`: a folder of the store where the packing plan of each set of documents is kept: the first process that needs
    a plan makes it, and the others map it.
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
        plans: Path | None = None,
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
            RepositoryDocuments(store, part.repositories, tokenizer, sequence_length, self._kept(part, plans))
            if store is not None and isinstance(part, TokenSet) and part.repositories is not None
            else None
            for part in sets
        ]
        self.plans = [
            joined.plan if joined else self._plan(part, plans) for part, joined in zip(sets, self.joined, strict=True)
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

    def _plan(self, chosen: TokenSet | ChatSet, plans: Path | None) -> PackingPlan:
        if isinstance(chosen, ChatSet):
            return plan_whole(chosen.store.group_lengths, self.sequence_length)
        assert self.store is not None
        return plan_packing(chosen.indices, self.store.lengths, self.sequence_length, self._kept(chosen, plans))

    def _kept(self, chosen: TokenSet, plans: Path | None) -> Path | None:
        """The folder of a set's plan, named by what the plan follows from beside the store."""
        if plans is None:
            return None
        files = chosen.repositories
        digest = hashlib.sha256()
        for part in (chosen.indices, files.repositories) if files else (chosen.indices,):
            digest.update(np.ascontiguousarray(part, np.int64).data)
        form = "repositories" if files else "documents"
        return plans / f"{form}-{self.sequence_length}-{digest.hexdigest()[:16]}"

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
