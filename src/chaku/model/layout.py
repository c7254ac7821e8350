"""What a training step computes of a batch: every distinct beginning of its documents once, and no padding."""

from dataclasses import dataclass

import torch
from torch import Tensor

# Documents attend in groups of similar length. The shortest of a group has at least this share of the longest's tokens.
SIMILAR_LENGTH = 0.85


@dataclass(frozen=True)
class AttentionGroup:
    """Documents that attend side by side. `shape`: documents, tokens of the longest. `rows`: each token's row, flat.

    A shorter document is filled up at its end, where causal attention lets no real token look. With `rows` None, all
    rows belong to the group, in order.
    """

    shape: tuple[int, int]
    rows: Tensor | None


@dataclass(frozen=True)
class Layout:
    """A batch as rows, one a distinct token, and how they attend.

    A token's final state depends on the tokens before it in its document and on nothing else. So documents that begin
    with the same tokens share the rows of that beginning. `tokens`, `positions`: (rows,). `places`: (batch, seq), the
    row of each token of the batch, -1 for padding. `attended`: (rows,), where the groups' outputs, one after the other,
    hold each row's; None where they are in order.
    """

    tokens: Tensor
    positions: Tensor
    places: Tensor
    groups: tuple[AttentionGroup, ...]
    attended: Tensor | None

    @property
    def longest(self) -> int:
        """Tokens of the longest document."""
        return max((group.shape[1] for group in self.groups), default=0)


def whole_rows(tokens: Tensor) -> Layout:
    """(batch, seq) tokens of which each row is one document."""
    batch, seq = tokens.shape
    positions = torch.arange(seq).expand(batch, seq)
    places = torch.arange(batch * seq).view(batch, seq)
    return Layout(tokens.flatten(), positions.flatten(), places, (AttentionGroup((batch, seq), None),), None)


def shared_beginnings(tokens: Tensor, document_ids: Tensor) -> Layout:
    """(batch, seq) tokens of documents that do not see each other; a negative document id is padding."""
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
    """The documents in groups of similar length, and where the groups' outputs hold each row's."""
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
