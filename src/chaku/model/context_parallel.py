"""Context parallelism: ranks share the tokens of a row; each rank gathers the keys and values of all of them.

As Llama 3 was trained (arXiv 2407.21783, section 3.3.2). It needs no kernel of its own, and works for documents too.
"""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from chaku.model.attention import Attend, Segment, segmented


@dataclass(frozen=True)
class ContextParallel:
    """A rank's part of every row: of 2 x `size` equal chunks, the chunks `rank` and 2 x `size` - 1 - `rank`.

    Later tokens have more keys; so every rank has an equal number of query-key products.
    """

    group: dist.ProcessGroup
    rank: int
    size: int

    def cut(self, rows: Tensor) -> Tensor:
        """This rank's part, (batch, seq / size), of (batch, seq)."""
        chunks = rows.chunk(2 * self.size, dim=1)
        return torch.cat([chunks[self.rank], chunks[2 * self.size - 1 - self.rank]], dim=1)

    def attend(self, segments: list[Segment], seq: int, window: int | None) -> Attend:
        """Attention of this rank's queries to the keys of whole rows. `segments`: of whole rows of `seq` tokens."""
        local = segmented(self._local(segments, seq), window)

        def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            both = _Gather.apply(torch.cat([key, value], dim=-1), self)
            return local(layer, query, *both.chunk(2, dim=-1))

        return attend

    def _local(self, segments: list[Segment], seq: int) -> list[Segment]:
        """The parts of segments that this rank computes, in the order of its tokens."""
        size = seq // (2 * self.size)
        found = []
        for row in range(1 + max(segment.row for segment in segments)):
            for place, chunk in enumerate((self.rank, 2 * self.size - 1 - self.rank)):
                shift = (place - chunk) * size
                for segment in segments:
                    first, last = max(segment.first, chunk * size), min(segment.last, (chunk + 1) * size)
                    if segment.row == row and first < last:
                        found.append(Segment(row, first + shift, last + shift, segment.begin, last))
        return found

    @property
    def _order(self) -> list[int]:
        """The places of a whole row's chunks among the gathered chunks."""
        return [
            2 * chunk if chunk < self.size else 2 * (2 * self.size - 1 - chunk) + 1 for chunk in range(2 * self.size)
        ]


class _Gather(torch.autograd.Function):
    """(batch, heads, seq / size, dim) of every rank -> (batch, heads, seq, dim) in the order of the tokens."""

    @staticmethod
    def forward(ctx, local: Tensor, context: ContextParallel) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.context = context
        part = local.movedim(2, 0).contiguous()  # (seq / size, batch, heads, dim)
        gathered = part.new_empty(len(part) * context.size, *part.shape[1:])
        dist.all_gather_single(gathered, part, group=context.group)
        chunks = gathered.view(2 * context.size, -1, *part.shape[1:])[context._order]
        return chunks.flatten(0, 1).movedim(0, 2)

    @staticmethod
    def backward(ctx, *grads: Tensor):  # type: ignore[no-untyped-def]
        context = ctx.context
        whole = grads[0].movedim(2, 0)
        chunks = torch.empty_like(whole, memory_format=torch.contiguous_format).view(
            2 * context.size, -1, *whole.shape[1:]
        )
        chunks[context._order] = whole.reshape(chunks.shape)
        local = whole.new_empty(len(whole) // context.size, *whole.shape[1:])
        dist.reduce_scatter_single(local, chunks.flatten(0, 1), group=context.group)
        return local.movedim(0, 2), None


class SumOverContext(torch.autograd.Function):
    """Sums over the ranks of a context group. The gradient passes unchanged: every rank computes the same loss."""

    @staticmethod
    def forward(ctx, values: Tensor, context: ContextParallel) -> Tensor:  # type: ignore[no-untyped-def]
        total = values.clone()
        dist.all_reduce(total, group=context.group)
        return total

    @staticmethod
    def backward(ctx, *grads: Tensor):  # type: ignore[no-untyped-def]
        return grads[0], None
