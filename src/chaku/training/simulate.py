"""One rank's memory and messages in a training step on many GPUs, counted on one machine without a GPU.

The step is the real one: the same model, layout and optimizer. But its tensors are fake, so they have a size and no
values, and torch's fake process group answers every collective at once.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import finalize

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, UntypedStorage
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from chaku.errors import ChakuError
from chaku.model.llama import Llama
from chaku.model.lora import add_lora
from chaku.training.config import ParallelConfig
from chaku.training.micro_batches import communicate
from chaku.training.optimizers import make_optimizer
from chaku.training.parallel import parallelize
from chaku.training.ranks import Ranks, lay_out
from chaku.training.step import training_step_loss
from chaku.training.workload import Workload

# A new highest total is taken apart by kind when it exceeds the last such total by this factor.
STEP = 1.005


@dataclass(frozen=True)
class Simulated:
    """What one rank takes in a step. `memory`: bytes by kind when their sum is highest.

    `messages`: the bytes that the rank sends in a whole optimizer step, by collective and dimension of the layout.
    """

    memory: dict[str, int]
    messages: dict[str, int]

    @property
    def peak(self) -> int:
        """Bytes of all kinds together."""
        return sum(self.memory.values())


def can_simulate(recompute: str, num_ranks: int) -> bool:
    """Whether `simulate` can count a stage: on one rank nothing is shared; it cannot tell the host's memory apart."""
    return num_ranks > 1 and recompute != "offload"


def simulate(work: Workload, parallel: ParallelConfig, num_ranks: int) -> Simulated:
    """Rank 0's second optimizer step among `num_ranks`; the first one makes the optimizer's state.

    Attention is the CPU's flash kernel, which keeps what a GPU's keeps. Raises ChakuError where not `can_simulate`,
    inside a process group, and for a layout that the model does not fit.
    """
    training = work.training
    if not can_simulate(training.recompute, num_ranks):
        raise ChakuError('a simulation needs at least 2 ranks, and a recompute other than "offload"')
    if dist.is_initialized():
        raise ChakuError("a simulation makes its own process group, but this process already belongs to one")
    with _fake_ranks(num_ranks):
        ranks = lay_out(parallel, "cpu")
        with torch.device("meta"):
            model = Llama(work.shape)
            if work.lora:
                add_lora(model, work.lora)
        parallelize(model, ranks, work.sequence_length, "float32" if training.precision == "float32" else "bfloat16")
        model.set_recompute(training.recompute)
        with FakeTensorMode(allow_non_fake_inputs=True):
            return _two_steps(model.to_empty(device="cpu"), work, ranks)


def _two_steps(model: Llama, work: Workload, ranks: Ranks) -> Simulated:
    optimizer = make_optimizer(model, work.training)
    rows, times = work.micro_batches(ranks.num_data, ranks.num_context)
    tokens = torch.zeros(rows, work.sequence_length + 1, dtype=torch.long)
    counts = _Counts(model, optimizer, ranks)
    with counts, _watched_resize(counts), _gpu_norm():
        for _ in range(2):
            counts.begin()
            for number in range(min(times, 2)):
                last = number == min(times, 2) - 1
                communicate(model, ranks, last=last)
                counts.weight = 1 if last else times - 1  # the first micro-batch stands for all but the last
                training_step_loss(model, tokens, None, 1).backward()
            counts.weight = 1
            torch.nn.utils.clip_grad_norm_(model.parameters(), work.training.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    return Simulated(counts.peak, dict(counts.messages))


@contextmanager
def _fake_ranks(num_ranks: int) -> Iterator[None]:
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=num_ranks)
    try:
        yield
    finally:
        dist.destroy_process_group()


class _Counts(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive, and of all messages."""

    def __init__(self, model: Llama, optimizer: Optimizer, ranks: Ranks):
        super().__init__()
        self._parameters, self._optimizer = list(model.parameters()), optimizer
        self._groups = _groups(ranks)
        self._sizes: dict[int, int] = {}  # of storages that are alive, by their id
        self._buffers: set[int] = set()  # those that FSDP2 gathers weights and scatters gradients with
        self._total, self._taken_apart = 0, 0.0
        self.peak: dict[str, int] = {}
        self.messages: Counter[str] = Counter()
        self.weight = 1  # how many times the present micro-batch counts in `messages`
        for parameter in self._parameters:
            self._see(_storage(parameter))

    def begin(self) -> None:
        """Forget the peak and the messages so far."""
        self._taken_apart, self.peak = 0.0, {}
        self.messages.clear()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(issubclass(kind, DTensor) for kind in types):
            return NotImplemented  # DTensor calls the operations on this rank's part, and they come here
        result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
        for tensor in tensors:
            self._see(tensor.untyped_storage())
        if func.namespace == "fsdp":
            self._buffers.update(id(tensor.untyped_storage()) for tensor in tensors)
        if func.namespace in ("c10d", "_c10d_functional"):
            self._message(func, args, tensors)
        self._compare()
        return result

    def resized(self, storage: UntypedStorage) -> None:
        """FSDP2 frees gathered weights by giving their storage no size."""
        if id(storage) in self._sizes:
            self._total += storage.nbytes() - self._sizes[id(storage)]
            self._sizes[id(storage)] = storage.nbytes()

    def _see(self, storage: UntypedStorage) -> None:
        if id(storage) not in self._sizes:
            self._sizes[id(storage)] = storage.nbytes()
            self._total += storage.nbytes()
            finalize(storage, self._freed, id(storage))

    def _freed(self, storage: int) -> None:
        self._total -= self._sizes.pop(storage)
        self._buffers.discard(storage)

    def _compare(self) -> None:
        if self._total > self._taken_apart * STEP:
            self._taken_apart = self._total
            weights = {id(_storage(parameter)) for parameter in self._parameters}
            gradients = {id(_storage(p.grad)) for p in self._parameters if p.grad is not None}
            state = [value for values in self._optimizer.state.values() for value in values.values()]
            moments = {id(_storage(value)) for value in state if isinstance(value, Tensor)}
            kinds = {"weights": weights, "gradients": gradients, "optimizer": moments, "buffers": self._buffers}
            self.peak = {kind: sum(self._sizes.get(storage, 0) for storage in held) for kind, held in kinds.items()}
            self.peak["activations"] = self._total - sum(self.peak.values())

    def _message(self, func: Any, args: Any, tensors: list[Tensor]) -> None:
        name = func.__name__.split(".")[0].strip("_")
        kind = next((kind for kind in _SHARE_SENT if kind in name.replace("_", "")), None)
        if kind is None:
            return
        group = next(group for group in map(_as_group, args) if group is not None)
        whole = max(tensor.numel() * tensor.element_size() for tensor in tensors)
        sent = _SHARE_SENT[kind] * whole * (group.size() - 1) // group.size()
        self.messages[f"{_SAID[kind]} {self._groups.get(group.group_name, 'batch')}"] += sent * self.weight


# A rank of n sends this many times (n - 1) / n of the whole tensor, in a ring.
_SHARE_SENT = {"allgather": 1, "reducescatter": 1, "allreduce": 2}
_SAID = {"allgather": "all-gather", "reducescatter": "reduce-scatter", "allreduce": "all-reduce"}


def _as_group(argument: Any) -> dist.ProcessGroup | None:
    if isinstance(argument, str) and argument not in ("sum", "max", "avg", "min"):
        return dist.distributed_c10d._resolve_process_group(argument)  # type: ignore[attr-defined, arg-type]
    if isinstance(argument, torch.ScriptObject):
        try:
            return dist.ProcessGroup.unbox(argument)
        except RuntimeError:  # another object: the kind of reduction
            return None
    return None


def _groups(ranks: Ranks) -> dict[str, str]:
    """The dimension of the layout of each process group, by the group's name."""
    found: dict[str, str] = {}
    if ranks.shards is not None:
        for dimension in ranks.shards.mesh_dim_names or ():
            found[ranks.shards.get_group(dimension).group_name] = dimension
    if ranks.tensor is not None:
        found[ranks.tensor.get_group().group_name] = "tensor"
    if ranks.context is not None:
        found[ranks.context.group_name] = "context"
    return found


def _storage(tensor: Tensor) -> UntypedStorage:
    # `to_local` is an operation, which takes a millisecond here.
    return (tensor._local_tensor if isinstance(tensor, DTensor) else tensor).untyped_storage()


class _Normed(torch.autograd.Function):
    """RMSNorm that keeps what a GPU's kernel keeps: its input, and one number a token. Its values mean nothing."""

    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(hidden, weight, hidden[..., :1].float())
        return hidden * weight

    @staticmethod
    def backward(ctx, *grads: Tensor):  # type: ignore[no-untyped-def]
        _, weight, _ = ctx.saved_tensors
        return grads[0] * weight, grads[0].flatten(0, -2).sum(0)


@contextmanager
def _gpu_norm() -> Iterator[None]:
    original = F.rms_norm

    def normed(hidden: Tensor, shape: Any, weight: Tensor, eps: float) -> Tensor:
        return _Normed.apply(hidden, weight)

    F.rms_norm = normed  # type: ignore[assignment]
    try:
        yield
    finally:
        F.rms_norm = original


@contextmanager
def _watched_resize(counts: _Counts) -> Iterator[None]:
    resize = UntypedStorage.resize_

    def watched(storage: UntypedStorage, size: int) -> UntypedStorage:
        result = resize(storage, size)
        counts.resized(storage)
        return result

    UntypedStorage.resize_ = watched  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        UntypedStorage.resize_ = resize  # type: ignore[method-assign]
