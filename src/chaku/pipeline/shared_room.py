"""Whether a stage fits the ranks that torchrun started, before anything is loaded."""

import dataclasses
from collections.abc import Iterator

import torch

from chaku.errors import ChakuError
from chaku.launcher import num_local_ranks
from chaku.model.config import LlamaConfig
from chaku.model.memory import gigabytes
from chaku.pipeline.parts import Part, Requirement
from chaku.pipeline.plan import enough_gpus, in_toml, stage_work
from chaku.recipe.schema import Recipe
from chaku.training.divisions import check_stage
from chaku.training.gpus import Cluster
from chaku.training.plan import choose
from chaku.training.rank_memory import rank_memory
from chaku.training.workload import Workload


def shared_memory_needed(
    recipe: Recipe, base: LlamaConfig, stages: list[str], device: torch.device, num_ranks: int, free: int
) -> Iterator[Requirement]:
    """For each stage: whether a rank's part fits. `free`: bytes of the GPU, or of all memory where ranks are on CPUs.

    A stage that does not fit is told the layout that would, or the number of GPUs that would be enough.
    """
    per_node = num_local_ranks()
    cluster = Cluster(nodes=max(1, num_ranks // per_node), gpus_per_node=per_node)
    room = free if device.type == "cuda" else free // per_node
    what = "GPUs" if device.type == "cuda" else "processes"
    for name in stages:
        work, parallel, part = stage_work(recipe, name, base), recipe.stages[name].parallel, (Part("stage", name),)
        if device.type == "cpu" and work.training.precision == "auto":
            work = dataclasses.replace(work, training=dataclasses.replace(work.training, precision="float32"))
        try:
            check_stage(work.shape, work.training, work.sequence_length, parallel, num_ranks)
            needed = rank_memory(work, parallel, num_ranks).total
        except ChakuError as error:
            fits = what_fits_ranks(name, work, cluster, room)
            yield Requirement(f"a layout for {num_ranks} {what}: {error}", part, False, fits)
            continue
        if needed <= room:
            yield Requirement(f"memory {gigabytes(needed)} of {gigabytes(room)} for each rank", part, True)
        else:
            words = f"{gigabytes(needed)} of memory on each of {num_ranks} {what} ({gigabytes(room)} are free)"
            yield Requirement(words, part, False, what_fits_ranks(name, work, cluster, room))


def what_fits_ranks(name: str, work: Workload, cluster: Cluster, room: int) -> str:
    """The layout in which a stage fits the ranks, or the number of ranks that it needs, in words."""
    if layout := choose(work, cluster, room=room).layout:
        return f"set in stages.{name}: {in_toml(layout)} ({gigabytes(layout.memory.total)})"
    if enough := enough_gpus(work, cluster, room):
        return f"{enough} GPUs of this size; chaku plan says what they would take"
    return "GPUs with more memory; chaku plan says what they would take"
