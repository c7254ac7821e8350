"""The model of a stage: what precision it trains in, how all ranks make it, and how they save it."""

from dataclasses import dataclass
from pathlib import Path

import torch

from chaku.checkpoint.formats import open_checkpoint
from chaku.checkpoint.huggingface import (
    build_model,
    checked_tensors,
    random_tensors,
    save_config,
    save_model,
    with_new_rows,
)
from chaku.checkpoint.memory import check_memory
from chaku.checkpoint.peft import adapter_tensors, write_adapter
from chaku.checkpoint.peft_read import merged_tensors
from chaku.checkpoint.weights import write_tensors
from chaku.console import say
from chaku.errors import ChakuError
from chaku.model.config import LlamaConfig
from chaku.model.llama import Llama
from chaku.model.lora import add_lora
from chaku.recipe.schema import Recipe, StageConfig
from chaku.tokens.tokenizer import Tokenizer
from chaku.training.config import Precision
from chaku.training.ranks import Ranks, whole_tensor
from chaku.training.schedule import goes_on, num_steps
from chaku.training.speed import choose_precision
from chaku.training.state import saved_states


@dataclass(frozen=True)
class StageWork:
    """What a rank needs to know to train a stage together with the others. `states`: where its states are saved."""

    recipe: Recipe
    directory: Path
    name: str
    stage: StageConfig
    base: LlamaConfig
    tokenizer: Tokenizer
    seed: int
    states: str

    @property
    def path(self) -> Path:
        """The stage's folder."""
        return self.directory / "stages" / self.name

    @property
    def base_model(self) -> Path | None:
        """The checkpoint from which the stage starts; None for random weights."""
        if self.stage.parent:
            return self.directory / "stages" / self.stage.parent
        return Path(self.recipe.model.path) if self.recipe.model.path is not None else None


def stage_precision(work: StageWork, device: torch.device, ranks: Ranks) -> Precision:
    """The precision of the saved state from which the stage goes on; else the recipe's, or what "auto" chooses here."""
    training, chosen = work.stage.training, None
    if ranks.is_first:
        steps = num_steps(training, work.stage.sequence_length)
        states = [state for state in saved_states(work.states) if goes_on(state.step, state.num_steps, steps, training)]
        newest = max(states, key=lambda state: state.step, default=None)
        chosen = (newest and newest.precision) or choose_precision(training.precision, device)
    return ranks.from_first(chosen)


def stage_model(
    work: StageWork, stage: StageConfig, shape: LlamaConfig, base_model: Path | None, device: torch.device, ranks: Ranks
) -> Llama:
    """The model that a stage trains, with its adapter, laid out over the ranks. `stage`: with its precision."""
    seed, precision = work.seed, stage.training.precision
    opened = open_checkpoint(base_model) if base_model else None
    old_vocab = opened.config.vocab_size if opened else shape.vocab_size
    if old_vocab < shape.vocab_size:
        if stage.lora:
            raise ChakuError(
                f"stage {work.name}: LoRA freezes embeddings, but the infilling tokens are new and must be trained; "
                "remove `lora`, or add a parent stage with infilling and without `lora`"
            )
        if ranks.is_first:
            say(f"{work.name}: added {shape.vocab_size - old_vocab} embeddings for the infilling tokens")
    source = base_model or work.name  # for error messages
    tensors = random_tensors(shape, seed)
    if opened:
        tensors = with_new_rows(checked_tensors(opened.config, opened.tensors, source), shape, seed)
    if ranks.size > 1 and not stage.base_quantization:
        from chaku.training.sharded import sharded_model

        return sharded_model(
            shape,
            tensors,
            source,
            device,
            ranks,
            stage.sequence_length,
            precision,
            lora=stage.lora,
            seed=seed,
            compiled=stage.training.compile,
        )
    if opened:
        check_memory(opened.config, opened.path, torch.float32, device, stage.base_quantization)
    model = build_model(shape, tensors, source, torch.float32, device, stage.base_quantization)
    if stage.lora:
        add_lora(model, stage.lora, torch.Generator().manual_seed(seed))
    if ranks.size > 1:
        from chaku.training.parallel import parallelize

        # A quantised base is whole on every rank: only its adapter is sharded.
        parallelize(model, ranks, stage.sequence_length, precision, compiled=stage.training.compile)
    return model


def save_stage(model: Llama, stage: StageConfig, path: Path, base_model: Path | None, ranks: Ranks) -> None:
    """Save what was trained: the model; or the adapter and, tensor by tensor, its merge into the base."""
    if stage.lora:
        assert base_model is not None
        adapter = {name: whole_tensor(matrix) for name, matrix in adapter_tensors(model).items()}
        if ranks.is_first:
            write_adapter(adapter, stage.lora, path / "adapter", str(base_model))
            opened = open_checkpoint(base_model)
            tensors = checked_tensors(opened.config, opened.tensors, base_model)
            save_config(model.config, path, torch.float32)
            write_tensors(merged_tensors(tensors, model.config, path / "adapter"), path)
    elif ranks.size > 1:
        from chaku.training.sharded import save_sharded

        save_sharded(model, path, ranks)
    else:
        save_model(model, path)
