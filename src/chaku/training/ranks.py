"""The processes that train together: torchrun starts them, and every process is one rank."""

import os
import pickle
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist

from chaku.console import set_quiet, warn
from chaku.errors import ChakuError, EndedElsewhere, Interrupted
from chaku.launcher import check_launcher, local_rank, num_ranks, rank
from chaku.training.config import ParallelConfig
from chaku.training.heartbeats import LostContact, claim, is_lost_contact, record_collectives

POLL = 0.2  # seconds between two looks for work
LATE = 30.0  # seconds until rank 0 says that other ranks have not come
FIRST = 1.0  # seconds that rank 0 has to say why a run ends, before another rank says it or ends

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This rank's place in the layout of a stage.

    `data_rank` of `num_data` ranks read different rows of a batch. The ranks of a context group share rows: each one
    computes a part of their tokens. The ranks of a tensor group share tokens: each one computes a part of every
    matrix. `reshard`: see `ParallelConfig`. `shards`: the mesh (replicate, shard) over which FSDP2 shards the weights;
    its shard dimension spans the context group too.
    """

    rank: int = 0
    size: int = 1
    data_rank: int = 0
    num_data: int = 1
    context_rank: int = 0
    num_context: int = 1
    num_tensor: int = 1
    reshard: bool = True
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


@contextmanager
def _meeting() -> Iterator[None]:
    """While this rank waits for the others: a signal ends it at once, and rank 0 says why nothing happens."""
    where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
    text = (
        f"rank {rank()} still waits for all {num_ranks()} ranks (WORLD_SIZE) to meet at {where}; without a launcher, "
        "unset WORLD_SIZE to use one process"
    )
    timer = threading.Timer(LATE, warn, [text])
    timer.daemon = True
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        # torch waits without Python, whose own handlers would run only after the wait.
        handlers = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM)}
    if rank() == 0:
        timer.start()
    try:
        yield
    except RuntimeError as error:  # gloo's own, where an interface has no address
        raise ChakuError(
            f"rank {rank()} cannot meet the other ranks at {where}: {str(error).splitlines()[0]}"
        ) from error
    finally:
        timer.cancel()
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _check_that_the_launcher_answers() -> None:
    """Raises ChakuError when torchrun, which holds the store where the ranks meet, is gone; torch would wait on."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    deadline = time.monotonic() + LATE
    while True:
        try:
            socket.create_connection((host, port), timeout=LATE).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise ChakuError(
                    f"rank {rank()} cannot reach the launcher at {host}:{port} ({error.strerror or error}): it is "
                    "gone, or a firewall is between them; run the same command again"
                ) from error
            time.sleep(POLL)


def start(device: torch.device, timeout: timedelta = timedelta(minutes=30)) -> torch.device:
    """Join the process group that torchrun describes; returns this rank's device.

    `timeout`: how long a rank waits for the others in one collective before it gives up. Raises ChakuError when a
    launcher's variables are incomplete, or the ranks cannot meet.
    """
    backend = "gloo"
    if device.type == "cuda":
        device = torch.device("cuda", local_rank())
        torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl"
        record_collectives()
    if not dist.is_initialized():
        check_launcher()
        with _meeting():
            _check_that_the_launcher_answers()
            dist.init_process_group(backend, timeout=timeout)
    return device


@dataclass(frozen=True)
class _Ended:
    """Rank 0's last announcement. `result`: what all ranks return; None when rank 0 failed."""

    result: Any


def together(
    device: torch.device, lead: Callable[[torch.device], T], assist: Callable[[Any, torch.device], object]
) -> T:
    """Rank 0 does `lead`, which announces work to the other ranks; they do `assist` with it. All return `lead`'s value.

    Both functions get this rank's device. When ranks fail, one of them raises the reason, and every other rank raises
    EndedElsewhere.
    """
    if rank() > 0:
        set_quiet(True)
    ours = not dist.is_initialized()
    device = start(device)
    result: T | None = None
    try:
        result = lead(device) if rank() == 0 else _follow(lambda work: assist(work, device))
    except (EndedElsewhere, LostContact):
        raise
    except Exception as error:
        if (reason := _reason(error)) is error:
            raise
        raise reason from error
    finally:
        if rank() == 0:
            with suppress(RuntimeError):  # the store is gone, so nobody listens
                announce(_Ended(result))
    if ours:
        dist.destroy_process_group()
    return result


def _reason(error: Exception) -> Exception:
    """The error that this rank raises for `error`."""
    if isinstance(error, Interrupted):
        return error if rank() == 0 else EndedElsewhere("rank 0 says that the run was stopped")
    lost = is_lost_contact(error)
    if rank() == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        # The store is in this process, and the other ranks still look into it.
        threading.Thread(target=time.sleep, args=(3 * FIRST,)).start()
    if rank() > 0 and not lost:
        time.sleep(FIRST)
    if not claim() and (lost or isinstance(error, ChakuError)):
        return EndedElsewhere("another rank says why the run ends")
    if lost:
        return LostContact(f"rank {rank()} lost contact with another rank ({str(error).splitlines()[0]})")
    if rank() > 0 and isinstance(error, ChakuError):
        return ChakuError(f"rank {rank()} ({socket.gethostname()}): {error}")
    return error


def announce(work: Any) -> None:
    """Rank 0 tells the other ranks what to do next."""
    if num_ranks() > 1:
        store = dist.distributed_c10d._get_default_store()
        number = store.add("announced", 1)
        store.set(f"work {number}", pickle.dumps(work).hex())


def _follow(do: Callable[[Any], object]) -> Any:
    """Wait for what rank 0 announces, for as long as it takes, and do it, until there is no more."""
    store = dist.distributed_c10d._get_default_store()
    for number in count(1):
        while not store.check([f"work {number}"]):
            time.sleep(POLL)
        work = pickle.loads(bytes.fromhex(store.get(f"work {number}").decode()))
        if not isinstance(work, _Ended):
            do(work)
        elif work.result is None:
            time.sleep(FIRST)  # torchrun stops rank 0 when this rank ends
            raise EndedElsewhere("rank 0 says why the run ends")
        else:
            return work.result
    raise AssertionError


def whole_tensor(parameter: torch.Tensor) -> torch.Tensor:
    """A weight of which each rank has a part. All ranks must call this together."""
    whole = parameter.full_tensor() if hasattr(parameter, "full_tensor") else parameter
    return whole.detach()


def lay_out(config: ParallelConfig, device_type: str) -> Ranks:
    """The layout of a stage over all ranks of the process group. Without a process group, `ALONE`.

    Neighbouring ranks form a tensor group, which talks most; then come context, shard and replicate. All ranks must
    call this together. Raises ChakuError when the sizes do not multiply to the number of ranks.
    """
    if not dist.is_initialized():
        return ALONE
    from torch.distributed.device_mesh import init_device_mesh

    size, own = dist.get_world_size(), dist.get_rank()
    replicate, shard, context, tensor = config.sizes(size)
    shards = init_device_mesh(
        device_type, (replicate, shard * context, tensor), mesh_dim_names=("replicate", "shard", "tensor")
    )
    tokens = init_device_mesh(device_type, (replicate * shard, context, tensor), mesh_dim_names=("data", "cp", "tp"))
    return Ranks(
        rank=own,
        size=size,
        data_rank=own // (context * tensor),
        num_data=replicate * shard,
        context_rank=own // tensor % context,
        num_context=context,
        num_tensor=tensor,
        reshard=config.reshard,
        shards=shards["replicate", "shard"] if replicate > 1 else shards["shard"],
        context=tokens.get_group("cp") if context > 1 else None,
        tensor=shards["tensor"] if tensor > 1 else None,
        _tokens=_token_group(size, tensor),
    )


def _token_group(size: int, tensor: int) -> "dist.ProcessGroup | None":
    """The group of this rank and all ranks with other tokens; None when there are no others."""
    own, mine = dist.get_rank(), None
    if size == tensor:
        return None
    for first in range(tensor):  # every rank makes every group: torch asks for that
        group = dist.new_group(list(range(first, size, tensor)))
        if own % tensor == first:
            mine = group
    return mine
