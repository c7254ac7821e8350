"""Estimates whether a recipe fits this machine: the memory for training each stage, and the disk space."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import torch

from chaku.console import short
from chaku.launcher import num_ranks
from chaku.machine import free_disk
from chaku.model.config import LlamaConfig, LoraConfig
from chaku.model.memory import free_memory, gigabytes
from chaku.pipeline.parts import Part, Requirement
from chaku.pipeline.shared_room import shared_memory_needed
from chaku.recipe.family import stage_shape
from chaku.recipe.schema import Recipe, StageConfig
from chaku.training.finished_stage import STAGE_FILE
from chaku.training.memory import STATE_BYTES, num_trained, training_memory
from chaku.training.workload import Workload

BYTES_PER_BYTE = 2.5  # bytes of disk for a byte of the corpus: its text, and its tokens of 32 bits


def memory_needed(recipe: Recipe, base: LlamaConfig, directory: Path, device: torch.device) -> Iterator[Requirement]:
    """Memory for stages still to be trained: a requirement for each that does not fit, and the largest that fits."""
    free = free_memory(device)
    needs = {
        name: stage_memory(recipe, name, base, device.type) for name in recipe.stages if not _is_done(directory, name)
    }
    if free is None:
        return
    if num_ranks() > 1:
        yield from shared_memory_needed(recipe, base, list(needs), device, num_ranks(), free)
        return
    too_large: dict[tuple[str, str], list[Part]] = {}
    for name, needed in needs.items():
        if needed > free:
            words = f"{gigabytes(needed)} of memory ({gigabytes(free)} are free)"
            too_large.setdefault((words, what_fits(recipe, name, base, free, device.type)), []).append(
                Part("stage", name)
            )
    for (words, fits), parts in too_large.items():
        yield Requirement(words, tuple(parts), False, fits)
    if fitting := {name: needed for name, needed in needs.items() if needed <= free}:
        largest = max(fitting, key=lambda name: fitting[name])
        yield Requirement(f"memory {gigabytes(needs[largest])} of {gigabytes(free)}", (Part("stage", largest),), True)


def stage_memory(recipe: Recipe, name: str, base: LlamaConfig, device: str = "cpu") -> int:
    """Bytes of memory at the peak of a stage's training, on a type of device."""
    return _peak(recipe.stages[name], stage_shape(recipe, name, base), device)


def _peak(stage: StageConfig, shape: LlamaConfig, device: str) -> int:
    work = Workload(shape, stage.training, stage.sequence_length, stage.lora, stage.base_quantization)
    return training_memory(work, device)


def what_fits(recipe: Recipe, name: str, base: LlamaConfig, free: int, device: str = "cpu") -> str:
    """The first change that makes a stage fit, in words.

    In this order: smaller micro-batches, layers that recompute their activations, LoRA, and a quantised base.
    """
    stage, shape = recipe.stages[name], stage_shape(recipe, name, base)
    row = stage.sequence_length
    small = dataclasses.replace(stage, training=dataclasses.replace(stage.training, micro_batch_tokens=row))
    least = dataclasses.replace(small, training=dataclasses.replace(small.training, recompute="full"))
    option = f"--set {name}.training.micro_batch_tokens={row}"
    changes = [(option, small), (f"{option} --set {name}.training.recompute=full", least)]
    if stage.parent is not None or recipe.model.path is not None:
        for scheme in (None, "int8", "nf4"):
            adapted = dataclasses.replace(stage, lora=stage.lora or LoraConfig(), base_quantization=scheme)
            quantized = f' with base_quantization = "{scheme}"' if scheme else ""
            words = f"a LoRA adapter (lora = {{}}){quantized} in stages.{name}"
            changes += [
                (words, adapted),
                (f"{words}, and micro_batch_tokens = {row}", dataclasses.replace(adapted, training=small.training)),
                (
                    f'{words}, micro_batch_tokens = {row}, and recompute = "full"',
                    dataclasses.replace(adapted, training=least.training),
                ),
            ]
    for words, changed in changes:
        if changed != stage and (needed := _peak(changed, shape, device)) <= free:
            return f"{words} ({gigabytes(needed)})"
    most = free / (4 + STATE_BYTES)
    return f"a smaller model (whole, at most {short(most)} parameters can be trained), or more memory"


def disk_needed(recipe: Recipe, base: LlamaConfig, directory: Path) -> Requirement:
    """Disk space for the files still to be written: corpus, tokens, checkpoints, and the state of training."""
    needed, free = disk_bytes(recipe, base, directory), free_disk(directory)
    if needed > free:
        name = f"{gigabytes(needed)} of disk in {directory} ({gigabytes(free)} are free)"
        return Requirement(name, (), False, "free some space, or pass --out on another disk")
    return Requirement(f"disk {gigabytes(needed)} of {gigabytes(free)}", (), True)


def disk_bytes(recipe: Recipe, base: LlamaConfig, directory: Path) -> int:
    """The bytes that a run still writes. A corpus without a cap counts as 0, since its size is not known yet."""
    caps = recipe.corpus.max_bytes
    by_kind = sum(caps.get(kind, 0) for kind in ("code", "piece", "code_prose", "prose"))
    corpus = by_kind or sum(source.max_bytes or 0 for source in recipe.corpus.sources)
    needed = 0 if (directory / "tokens" / "inputs.json").exists() else int(corpus * BYTES_PER_BYTE)
    states = [0]
    for name, stage in recipe.stages.items():
        if not _is_done(directory, name):
            state = num_trained(base, stage.lora) * 12  # weights and moments
            needed += stage_shape(recipe, name, base).num_parameters * 4 + state * stage.training.keep_state
            states.append(state * 2)  # new and old
    return needed + max(states)


def _is_done(directory: Path, stage: str) -> bool:
    return (directory / "stages" / stage / STAGE_FILE).exists()
