"""The processes that train together: torchrun starts them, and every process is one rank."""

import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from chaku.errors import ChakuError
from chaku.training.config import ParallelConfig

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


@dataclass(frozen=True)
class Ranks:
    """This rank's place in the layout of a stage.

    `data_rank` of `num_data` ranks read different rows of a batch. The `context.size` ranks of a context group share
    rows: each one computes a part of their tokens. The ranks of a tensor group share tokens: each one computes a part
    of every matrix. `shards`: the mesh (replicate, shard) over which FSDP2 shards the weights; its shard dimension
    spans the context group too.
    """

    rank: int = 0
    size: int = 1
    data_rank: int = 0
    num_data: int = 1
    context_rank: int = 0
    num_context: int = 1
    num_tensor: int = 1
    shards: "DeviceMesh | None" = None
    context: "dist.ProcessGroup | None" = None
    tensor: "DeviceMesh | None" = None
    # The ranks whose tokens together are the batch: the data ranks and their context groups.
    _tokens: "dist.ProcessGroup | None" = field(default=None, repr=False)

    @property
    def is_first(self) -> bool:
        """Whether this rank writes files and messages."""
        return self.rank == 0

    def sum(self, values: list[float]) -> list[float]:
        """The sums of numbers over the ranks with different tokens."""
        if self._tokens is None:
            return values
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total, group=self._tokens)
        return total.tolist()

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank."""
        if self.size == 1:
            return flag
        total = torch.tensor(int(flag))
        dist.all_reduce(total, op=dist.ReduceOp.MAX)
        return bool(total)

    def all_objects(self, value: Any) -> list[Any]:
        """The value of every rank, by rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def from_first(self, value: Any) -> Any:
        """Rank 0's value, on every rank."""
        values = [value]
        if self.size > 1:
            dist.broadcast_object_list(values, src=0)
        return values[0]


ALONE = Ranks()


def started_by_torchrun() -> bool:
    """Whether torchrun, or a launcher with the same variables, started this process as one of several ranks."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def start(device: torch.device, timeout: timedelta = timedelta(minutes=30)) -> torch.device:
    """Join the process group that torchrun describes; returns this rank's device.

    `timeout`: how long a rank waits for the others in one collective before it gives up.
    """
    backend = "gloo"
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl"
    if not dist.is_initialized():
        dist.init_process_group(backend, timeout=timeout)
    return device


def lay_out(config: ParallelConfig, device_type: str) -> Ranks:
    """The layout of a stage over all ranks of the process group. Without a process group, `ALONE`.

    Neighbouring ranks form a tensor group, which talks most; then come context, shard and replicate. All ranks must
    call this together. Raises ChakuError when the sizes do not multiply to the number of ranks.
    """
    if not dist.is_initialized():
        return ALONE
    from torch.distributed.device_mesh import init_device_mesh

    size, rank = dist.get_world_size(), dist.get_rank()
    replicate, shard, context, tensor = config.sizes(size)
    shards = init_device_mesh(
        device_type, (replicate, shard * context, tensor), mesh_dim_names=("replicate", "shard", "tensor")
    )
    tokens = init_device_mesh(device_type, (replicate * shard, context, tensor), mesh_dim_names=("data", "cp", "tp"))
    return Ranks(
        rank=rank,
        size=size,
        data_rank=rank // (context * tensor),
        num_data=replicate * shard,
        context_rank=rank // tensor % context,
        num_context=context,
        num_tensor=tensor,
        shards=shards["replicate", "shard"] if replicate > 1 else shards["shard"],
        context=tokens.get_group("cp") if context > 1 else None,
        tensor=shards["tensor"] if tensor > 1 else None,
        _tokens=_token_group(size, tensor),
    )


def _token_group(size: int, tensor: int) -> "dist.ProcessGroup | None":
    """The group of this rank and all ranks with other tokens; None when there are no others."""
    rank, mine = dist.get_rank(), None
    if size == tensor:
        return None
    for first in range(tensor):  # every rank makes every group: torch asks for that
        group = dist.new_group(list(range(first, size, tensor)))
        if rank % tensor == first:
            mine = group
    return mine


def check_divides(what: str, number: int, parts: int, how: str) -> None:
    """Raises ChakuError when `parts` ranks cannot share `number` of `what`."""
    if number % parts:
        raise ChakuError(f"{number} {what} cannot be divided among {parts} ranks ({how}); choose another number")
