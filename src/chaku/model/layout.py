"""The rows that a training step computes: documents with the same beginning share its rows; no padding is computed."""

from dataclasses import dataclass

import torch
from torch import Tensor

# Attention is computed in groups of documents of similar length: the shortest document of a group has at least this
# share of the longest document's tokens.
SIMILAR_LENGTH = 0.85


@dataclass(frozen=True)
class AttentionGroup:
    """Documents whose attention is computed together. `shape`: (documents, tokens of the longest document).

    `rows`: (documents * longest,), the row of every token; None when the group holds all rows in order. A shorter
    document is padded at its end, which causal attention hides from its real tokens.
    """

    shape: tuple[int, int]
    rows: Tensor | None


@dataclass(frozen=True)
class Layout:
    """A batch as rows, and the groups of documents for attention.

    A token's final state depends only on the tokens before it in its document. So documents that begin with the same
    tokens share the rows of this beginning. `tokens`, `positions`: (rows,). `places`: (batch, seq), the row of each
    token of the batch, -1 for padding. `attended`: (rows,), the index of each row in the concatenated outputs of the
    groups; None when the outputs are in the rows' order.
    """

    tokens: Tensor
    positions: Tensor
    places: Tensor
    groups: tuple[AttentionGroup, ...]
    attended: Tensor | None

    @property
    def longest(self) -> int:
        """The number of tokens in the longest document."""
        return max((group.shape[1] for group in self.groups), default=0)


def whole_rows(tokens: Tensor) -> Layout:
    """The layout of (batch, seq) tokens in which each row is one document."""
    batch, seq = tokens.shape
    positions = torch.arange(seq).expand(batch, seq)
    places = torch.arange(batch * seq).view(batch, seq)
    return Layout(tokens.flatten(), positions.flatten(), places, (AttentionGroup((batch, seq), None),), None)


def shared_beginnings(tokens: Tensor, document_ids: Tensor) -> Layout:
    """The layout of packed documents: (batch, seq) tokens and document ids; a negative document id is padding."""
    places = torch.full(tokens.shape, -1)
    known: dict[tuple[int, int], int] = {}  # (row of the token before, token) -> row
    ids: list[int] = []
    positions: list[int] = []
    documents: list[list[int]] = []
    for number, (row, owners) in enumerate(zip(tokens.tolist(), document_ids.tolist(), strict=True)):
        rows: list[int] = []
        previous, owner_before = -1, None
        for token, owner in zip(row, owners, strict=True):
            if owner < 0:
                rows.append(-1)
                continue
            if owner != owner_before:
                documents.append([])
                previous, owner_before = -1, owner
            place = known.setdefault((previous, token), len(ids))
            if place == len(ids):
                ids.append(token)
                positions.append(len(documents[-1]))
            documents[-1].append(place)
            rows.append(place)
            previous = place
        places[number] = torch.tensor(rows)
    groups, attended = _groups(documents, len(ids))
    return Layout(torch.tensor(ids), torch.tensor(positions), places, groups, attended)


def _groups(documents: list[list[int]], num_rows: int) -> tuple[tuple[AttentionGroup, ...], Tensor]:
    """The documents in groups of similar length, and the index of each row in the groups' concatenated outputs."""
    documents = sorted(documents, key=len, reverse=True)
    attended = torch.empty(num_rows, dtype=torch.int64)
    groups: list[AttentionGroup] = []
    first = start = 0
    while first < len(documents):
        longest = len(documents[first])
        last = first + 1
        while last < len(documents) and len(documents[last]) >= SIMILAR_LENGTH * longest:
            last += 1
        rows = torch.zeros(last - first, longest, dtype=torch.int64)
        for number, document in enumerate(documents[first:last]):
            rows[number, : len(document)] = torch.tensor(document)
            attended[rows[number, : len(document)]] = torch.arange(start, start + len(document))
            start += longest
        groups.append(AttentionGroup((last - first, longest), rows.flatten()))
        first = last
    return tuple(groups), attended
