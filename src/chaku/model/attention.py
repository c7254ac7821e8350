"""Attention of training: every token attends to the tokens before it in its row or its document.

No (seq x seq) mask is built: memory grows with the length of a row, not with its square.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

# (layer, query, key, value) -> attended. query, attended: (batch, heads, seq, head_dim); key, value: (batch, kv_heads,
# seq, head_dim).
Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]

QUERIES = 1024  # queries that share a mask, where one is needed; the mask has QUERIES x keys bytes


@dataclass(frozen=True)
class Segment:
    """Neighbouring queries of one document: queries `first` to `last` of row `row`, and keys `begin` to `end`.

    The last query attends to all these keys, the query before it to one key fewer, and so on.
    """

    row: int
    first: int
    last: int
    begin: int
    end: int


def causal(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Every token attends to all tokens before it in its row."""
    grouped = query.shape[1] != key.shape[1]
    return F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=grouped)


def document_segments(document_ids: Tensor) -> list[Segment]:
    """One segment for each document of (batch, seq) ids. Padding, which has a negative id, is a document too."""
    changes = document_ids[:, 1:] != document_ids[:, :-1]
    seq = document_ids.shape[1]
    found = []
    for row, changed in enumerate(changes.cpu()):
        edges = [0, *(changed.nonzero().flatten() + 1).tolist(), seq]
        found += [Segment(row, *edge, *edge) for edge in pairwise(edges)]
    return found


def whole_segments(batch: int, seq: int) -> list[Segment]:
    """One segment for each row."""
    return [Segment(row, 0, seq, 0, seq) for row in range(batch)]


def segmented(segments: list[Segment], window: int | None = None) -> Attend:
    """Attention inside segments, which cover all queries in order. `window`: the number of keys that a token sees.

    On a GPU in 16 bits, all segments are one call of FlashAttention's kernel for sequences of different lengths;
    elsewhere each segment is a call.
    """
    layouts: dict[torch.device, _Flat] = {}

    def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if query.device.type == "cuda" and query.dtype.itemsize == 2:
            if query.device not in layouts:
                layouts[query.device] = _flat(segments, key.shape[2], query.device)
            return _varlen(layouts[query.device], window, query, key, value)
        rows: list[list[Tensor]] = [[] for _ in range(len(query))]
        for segment in segments:
            rows[segment.row] += _segment(segment, window, query, key, value)
        return torch.cat([torch.cat(parts, dim=2) for parts in rows])

    return attend


def _segment(segment: Segment, window: int | None, query: Tensor, key: Tensor, value: Tensor) -> Iterator[Tensor]:
    """The output of one segment, in parts of (1, heads, queries, head_dim)."""
    row = slice(segment.row, segment.row + 1)
    grouped = query.shape[1] != key.shape[1]
    num_keys = segment.end - segment.begin
    if segment.last - segment.first == num_keys and (window is None or num_keys <= window):
        keys, queries = slice(segment.begin, segment.end), slice(segment.first, segment.last)
        yield F.scaled_dot_product_attention(
            query[row, :, queries], key[row, :, keys], value[row, :, keys], is_causal=True, enable_gqa=grouped
        )
        return
    for first in range(segment.first, segment.last, QUERIES):
        last = min(first + QUERIES, segment.last)
        end = segment.end - (segment.last - last)
        begin = segment.begin if window is None else max(segment.begin, end - (last - first) - window + 1)
        own = torch.arange(end - (last - first), end, device=query.device)[:, None]  # the place of each query's key
        place = torch.arange(begin, end, device=query.device)
        mask = place <= own if window is None else (place <= own) & (place > own - window)
        yield F.scaled_dot_product_attention(
            query[row, :, first:last], key[row, :, begin:end], value[row, :, begin:end], mask, enable_gqa=grouped
        )


@dataclass(frozen=True)
class _Flat:
    """Segments for the kernel: places of all keys in (batch * seq), and where each segment's queries and keys begin."""

    keys: Tensor | None
    query_starts: Tensor
    key_starts: Tensor
    most_queries: int
    most_keys: int


def _flat(segments: list[Segment], num_keys: int, device: torch.device) -> _Flat:
    query_lengths = [segment.last - segment.first for segment in segments]
    key_lengths = [segment.end - segment.begin for segment in segments]
    keys = None
    if any((part.first, part.last) != (part.begin, part.end) for part in segments):
        places = [torch.arange(part.begin, part.end) + part.row * num_keys for part in segments]
        keys = torch.cat(places).to(device)

    def starts(lengths: list[int]) -> Tensor:
        return torch.tensor([0, *lengths]).cumsum(0).to(device, torch.int32)

    return _Flat(keys, starts(query_lengths), starts(key_lengths), max(query_lengths), max(key_lengths))


def _varlen(flat: _Flat, window: int | None, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    batch, heads, seq, head_dim = query.shape
    queries, keys, values = (part.transpose(1, 2).flatten(0, 1) for part in (query, key, value))
    if flat.keys is not None:
        keys, values = keys.index_select(0, flat.keys), values.index_select(0, flat.keys)
    out = varlen_attn(
        queries,
        keys,
        values,
        flat.query_starts,
        flat.key_starts,
        flat.most_queries,
        flat.most_keys,
        window_size=(-1 if window is None else window - 1, 0),
        enable_gqa=heads != key.shape[1],
    )
    assert isinstance(out, Tensor)
    return out.view(batch, seq, heads, head_dim).transpose(1, 2)
