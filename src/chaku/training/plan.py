"""Chooses how many GPUs share a stage: the fastest layout that fits, by the estimates of memory and time."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chaku.model.config import RECOMPUTE, Recompute
from chaku.model.memory import gigabytes
from chaku.training.config import ParallelConfig
from chaku.training.gpus import Cluster
from chaku.training.rank_memory import Memory, rank_memory
from chaku.training.step_time import COMPUTE_SHARE, StepTime, step_time
from chaku.training.workload import Workload

USABLE = 0.9  # of a GPU's memory; CUDA, NCCL and the allocator's gaps take the rest: our assumption
MOST_TOKENS = 32_768  # of a micro-batch on one rank: more make a step no faster
MOST_CONTEXT = 64  # ranks that share a sequence
# The estimate of time is no better than this factor. So a layout with smaller tensor and context groups is taken when
# its estimated time is within it.
UNSURE = 1.2
ALIKE = 1.02  # and of layouts that are this near each other, the one that needs less memory


@dataclass(frozen=True)
class Layout:
    """One way to share a stage. `recompute` and `micro_batch_tokens`: keys of the stage's `training`."""

    parallel: ParallelConfig
    recompute: Recompute
    micro_batch_tokens: int
    memory: Memory
    time: StepTime

    @property
    def together(self) -> int:
        """Ranks that wait for each other in every layer."""
        return self.parallel.context * self.parallel.tensor

    def in_words(self) -> str:
        """The sizes that are not 1."""
        sizes = [(name, getattr(self.parallel, name)) for name in ("replicate", "shard", "context", "tensor")]
        shared = " x ".join(f"{name} {size}" for name, size in sizes if size > 1) or "one GPU"
        kept = "" if self.parallel.reshard else ", whole weights stay"
        return f"{shared}{kept}; recompute {self.recompute}; {self.micro_batch_tokens:,} tokens a micro-batch"


@dataclass(frozen=True)
class Choice:
    """The chosen layout, None when nothing fits, and why in words."""

    layout: Layout | None
    why: str


def choose(work: Workload, cluster: Cluster, compute_share: float = COMPUTE_SHARE, room: float | None = None) -> Choice:
    """The layout of a stage over all GPUs of a cluster that fits, and is simple and fast by the estimates.

    `room`: bytes that a rank may take; the default is `USABLE` of the memory of the cluster's GPUs.
    """
    found = list(layouts(work, cluster, compute_share))
    room = cluster.kind.memory * USABLE if room is None else room
    fitting = [layout for layout in found if layout.memory.total <= room]
    if not found:
        return Choice(None, f"{cluster.num_gpus} GPUs cannot share {work.rows} sequences a step: they do not divide")
    if not fitting:
        least = min(found, key=lambda layout: layout.memory.total)
        return Choice(
            None,
            f"a GPU has {gigabytes(room)} for it, and the smallest layout needs {gigabytes(least.memory.total)}: "
            f"{least.in_words()}",
        )
    near = _within(fitting, UNSURE)
    talks_least = min(layout.together for layout in near)
    alike = _within([layout for layout in near if layout.together == talks_least], ALIKE)
    best = min(alike, key=lambda layout: (layout.memory.total, layout.time.seconds))
    return Choice(best, _why(best, found, room, cluster))


def _within(layouts: list[Layout], factor: float) -> list[Layout]:
    fastest = min(layout.time.seconds for layout in layouts)
    return [layout for layout in layouts if layout.time.seconds <= fastest * factor]


def layouts(work: Workload, cluster: Cluster, compute_share: float = COMPUTE_SHARE) -> Iterator[Layout]:
    """Every layout whose sizes divide the model, the sequences and the GPUs. Tensor groups stay inside a node."""
    for parallel in _shared(work, cluster):
        for tokens in _micro_batches(work, parallel):
            for recompute in RECOMPUTE:
                training = dataclasses.replace(work.training, recompute=recompute, micro_batch_tokens=tokens)
                yield lay_out(dataclasses.replace(work, training=training), parallel, cluster, compute_share)


def lay_out(work: Workload, parallel: ParallelConfig, cluster: Cluster, compute_share: float = COMPUTE_SHARE) -> Layout:
    """A stage's own layout with its estimates. Raises ChakuError when the sizes do not multiply to the GPUs."""
    memory = rank_memory(work, parallel, cluster.num_gpus)
    time = step_time(work, parallel, cluster, compute_share)
    return Layout(parallel, work.training.recompute, work.training.micro_batch_tokens, memory, time)


def _shared(work: Workload, cluster: Cluster) -> Iterator[ParallelConfig]:
    shape, length, ranks = work.shape, work.sequence_length, cluster.num_gpus
    most_tensor = 1 if work.scheme or work.training.precision == "float8" else cluster.gpus_per_node
    for tensor in _divisors(most_tensor):
        if shape.num_key_value_heads % tensor or shape.intermediate_size % tensor or ranks % tensor:
            continue
        for context in _divisors(min(MOST_CONTEXT, ranks // tensor)):
            if ranks % (tensor * context) or length % (2 * context) or length // context % tensor:
                continue
            data = ranks // (tensor * context)
            if work.rows % data:
                continue
            for replicate in _divisors(data):
                for reshard in (True, False) if ranks > 1 else (True,):
                    yield ParallelConfig(replicate, data // replicate, context, tensor, reshard)


def _micro_batches(work: Workload, parallel: ParallelConfig) -> Iterator[int]:
    """Tokens that a rank reads at once: one row of its context group, then twice as many, to all of its rows."""
    own = work.rows // (parallel.replicate * (parallel.shard or 1))
    rows = 1
    while rows <= own:
        tokens = rows * work.sequence_length // parallel.context
        if rows == 1 or tokens <= MOST_TOKENS:
            yield tokens
        rows *= 2


def _divisors(number: int) -> list[int]:
    return [size for size in range(1, number + 1) if number % size == 0]


def _why(best: Layout, found: list[Layout], room: float, cluster: Cluster) -> str:
    """What speaks against each layout that would be simpler."""

    def in_a_node(layout: Layout) -> bool:
        return (layout.parallel.shard or 1) * layout.together <= cluster.gpus_per_node

    questions: list[tuple[str, bool, Callable[[Layout], bool]]] = [
        ("a whole copy in each node", not in_a_node(best), in_a_node),
        ("tensor 1", best.parallel.tensor > 1, lambda other: other.parallel.tensor == 1),
        ("context 1", best.parallel.context > 1, lambda other: other.parallel.context == 1),
        ("less recomputation", best.recompute != "none", lambda other: _less(other.recompute, best.recompute)),
    ]
    reasons = [_against(what, list(filter(is_so, found)), best, room) for what, asked, is_so in questions if asked]
    fit = sum(layout.memory.total <= room for layout in found)
    return f"{fit:,} layouts fit; " + ("; ".join(reasons) or "nothing simpler is faster")


def _against(what: str, others: list[Layout], best: Layout, room: float) -> str:
    if not others:
        return f"{what}: the sequences of a step do not divide among so many GPUs"
    fitting = [other for other in others if other.memory.total <= room]
    if not fitting:
        return f"{what} needs at least {gigabytes(min(other.memory.total for other in others))}"
    other = min(fitting, key=lambda layout: (layout.together > best.together, layout.time.seconds))
    if other.together > best.together:
        return f"{what} needs larger tensor or context groups"
    return f"{what} takes {other.time.seconds / best.time.seconds:.2f} times as long"


def _less(one: Recompute, other: Recompute) -> bool:
    return RECOMPUTE.index(one) < RECOMPUTE.index(other)
