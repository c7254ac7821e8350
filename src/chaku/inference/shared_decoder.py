"""A decoder whose matrices several ranks share (tensor parallel), for a model that is too large for one GPU.

Rank 0 writes: before each step it tells the other ranks of the group what to compute, and all compute it together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from chaku.checkpoint.formats import open_checkpoint, sha256_checkpoint
from chaku.checkpoint.huggingface import checked_tensors
from chaku.inference.decoder import Span
from chaku.inference.torch_decoder import TorchBlocks, TorchDecoder
from chaku.model.config import LlamaConfig
from chaku.model.llama import Attention, Block, FeedForward, Llama

_ROWS = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")  # each rank has some of their outputs
_COLUMNS = ("o_proj", "down_proj")  # each rank has some of their inputs


class SummedLinear(nn.Linear):
    """A linear layer of which each rank has some inputs: the outputs of all ranks are summed."""

    group: dist.ProcessGroup

    def forward(self, hidden: Tensor) -> Tensor:
        """(..., in / ranks) -> (..., out)."""
        out = F.linear(hidden, self.weight)
        dist.all_reduce(out, group=self.group)
        return out if self.bias is None else out + self.bias


def most_sharing(config: LlamaConfig, size: int) -> int:
    """The largest number of ranks, up to `size`, that can share the heads and the feed-forward columns."""
    return max(
        number
        for number in range(1, size + 1)
        if config.num_key_value_heads % number == 0 and config.intermediate_size % number == 0
    )


def local_model(path: Path, group: dist.ProcessGroup, device: torch.device, dtype: torch.dtype) -> Llama:
    """This rank's part of a checkpoint: some heads, and some feed-forward columns. Only this part is read."""
    opened = open_checkpoint(path)
    config, size, rank = opened.config, dist.get_world_size(group), dist.get_rank(group)
    own = replace(
        config,
        num_attention_heads=config.num_attention_heads // size,
        num_key_value_heads=config.num_key_value_heads // size,
        intermediate_size=config.intermediate_size // size,
        head_dim=config.head_dim,
    )
    with torch.device("meta"):
        model = Llama(own)
    for layer in model.model.layers:
        assert isinstance(layer, Block)
        attention: Attention = layer.self_attn
        feed_forward: FeedForward = layer.mlp
        attention.o_proj, feed_forward.down_proj = (
            _summed(module, group) for module in (attention.o_proj, feed_forward.down_proj)
        )
    for name, tensor in checked_tensors(config, opened.tensors, path):
        owner, _, leaf = name.rpartition(".")
        if owner.endswith(_ROWS):
            tensor = tensor.chunk(size, dim=0)[rank]
        elif owner.endswith(_COLUMNS) and leaf == "weight":
            tensor = tensor.chunk(size, dim=1)[rank]
        parameter = nn.Parameter(tensor.to(device, dtype).contiguous(), requires_grad=False)
        setattr(model.get_submodule(owner), leaf, parameter)
    if config.tie_word_embeddings:
        model.lm_head.weight = model.model.embed_tokens.weight
    return model.eval()


def _summed(module: nn.Linear, group: dist.ProcessGroup) -> SummedLinear:
    with torch.device("meta"):
        summed = SummedLinear(module.in_features, module.out_features, bias=module.bias is not None)
    summed.group = group
    return summed


@dataclass(frozen=True)
class WriteWork:
    """What the first `size` ranks need to know to write with a checkpoint together."""

    path: Path
    dtype: torch.dtype
    size: int

    def group(self) -> dist.ProcessGroup | None:
        """The group of the ranks that share the model; None on the other ranks. All ranks must call this together."""
        group = dist.new_group(list(range(self.size)))
        return group if dist.get_rank() < self.size else None


class SharedDecoder(TorchDecoder):
    """Implements `Decoder` on rank 0; the other ranks `help_to_write` until `close`."""

    def __init__(self, work: WriteWork, device: torch.device):
        group = work.group()
        assert group is not None
        self._path, self._group = work.path, group
        super().__init__(local_model(work.path, group, device, work.dtype))
        self.name = f"torch, shared by {work.size} ranks"

    def tell(self, what: str, *arguments: Any) -> None:
        """Let the other ranks do the same."""
        dist.broadcast_object_list([(what, arguments)], src=0, group=self._group)

    def score(self, ids: Tensor) -> Tensor:
        self.tell("score", ids)
        return super().score(ids)

    def weights_sha256(self) -> str:
        return sha256_checkpoint(self._path)

    def with_blocks(self, num_blocks: int) -> TorchBlocks:
        self.tell("with_blocks", num_blocks)
        return SharedBlocks(self, num_blocks)

    def close(self) -> None:
        """Let the other ranks go."""
        self.tell("close")


class SharedBlocks(TorchBlocks):
    """Implements `BlockDecoder` for `SharedDecoder`."""

    def __init__(self, decoder: SharedDecoder, num_blocks: int):
        self._tell = decoder.tell
        super().__init__(decoder, num_blocks)

    def forward(self, spans: Sequence[Span]) -> Tensor:
        self._tell("forward", spans)
        return super().forward(spans)

    def copy_block(self, source: int, target: int) -> None:
        self._tell("copy_block", source, target)
        super().copy_block(source, target)


def help_to_write(work: WriteWork, device: torch.device) -> None:
    """Compute what rank 0 tells, until it closes its decoder."""
    group = work.group()
    if group is None:
        return
    decoder = TorchDecoder(local_model(work.path, group, device, work.dtype))
    blocks: TorchBlocks | None = None
    while True:
        told: list[Any] = [None]
        dist.broadcast_object_list(told, src=0, group=group)
        what, arguments = told[0]
        if what == "close":
            return
        if what == "score":
            decoder.score(*arguments)
        elif what == "with_blocks":
            blocks = decoder.with_blocks(*arguments)
        else:
            getattr(blocks, what)(*arguments)
