"""Trains one stage: loads its data and its model, and writes its checkpoint."""

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from chaku.checkpoint.formats import open_checkpoint, sha256_checkpoint
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
from chaku.checkpoint.weights import weight_files, write_tensors
from chaku.console import say
from chaku.errors import ChakuError
from chaku.files import RECORD, aside, drop_aside, read_json, remove_directory, restore, set_aside, write_json
from chaku.inference.engine import Engine
from chaku.inference.generator import SamplingParams
from chaku.inference.prompts import complete
from chaku.manifest import versions
from chaku.model.config import LlamaConfig
from chaku.model.llama import Llama
from chaku.model.lora import add_lora
from chaku.pipeline.chat_sets import describe_sets, open_sets, stage_chat, with_end
from chaku.pipeline.going_on import begin_from_finished, obstacle_to_going_on, remove_states, states_of
from chaku.pipeline.heldout import heldout_batches, select_documents
from chaku.pipeline.run_directory import NO_RECORD, Run, Work, fingerprinted, what_changed
from chaku.recipe.family import stage_shape
from chaku.recipe.schema import Recipe, StageConfig
from chaku.tokens.loader import ChatSet, PackedDataset, TokenSet
from chaku.tokens.store import TokenStore
from chaku.tokens.tokenizer import Tokenizer
from chaku.training.config import Precision
from chaku.training.dpo import with_reference
from chaku.training.finished_stage import STAGE_FILE, FinishedStage, ReplyRows
from chaku.training.ranks import Ranks, announce, lay_out, whole_tensor
from chaku.training.schedule import batch_rows, goes_on, num_steps
from chaku.training.speed import choose_precision
from chaku.training.state import Progress, saved_states
from chaku.training.trainer import train

BEGUN = "begun.json"  # in the folder of a stage that has begun: its number of tokens


def run_stage(
    run: Run, name: str, stage: StageConfig, base: LlamaConfig, tokenizer: Tokenizer, inputs: dict[str, Any]
) -> str:
    """Train a stage, continue its training, or skip a finished stage; returns the fingerprint of its inputs.

    An old stage from other inputs is set aside, and removed when the new stage is whole. Raises ChakuError for errors
    that the user can correct, and Interrupted after a signal.
    """
    path = run.directory / "stages" / name
    inputs = fingerprinted(inputs)
    record = run.record(f"stages/{name}")
    why = what_changed(record, inputs) or problem_of_finished(path) if record else NO_RECORD
    if why and kept_aside(path, inputs):
        say(f"{name}: an earlier training with these settings is put back")
        remove_directory(path)
        restore(path)
    elif why and path.exists():
        if (obstacle := obstacle_to_going_on(record, inputs, path, stage.training)) == "":
            say(f"{name}: longer than before, and goes on")
            if (path / STAGE_FILE).exists():
                begin_from_finished(path, inputs)
        else:
            run.replace(f"stages/{name}", f"{why} ({obstacle})" if obstacle else why)
            set_aside(path)
    if (path / STAGE_FILE).exists():
        say(f"{name}: done before")
        remove_states(path, inputs)  # left by a kill at the very end
        drop_aside(path)
        return str(inputs["fingerprint"])
    assert stage.training.tokens is not None
    states = states_of(path, inputs, stage.training.state)
    check_states(path, states)
    write_json(path / BEGUN, {"tokens": stage.training.tokens, "states": states})
    write_json(path / RECORD, inputs)
    if stage.parent:
        check_weights(run.directory / "stages" / stage.parent)  # here, so that only one rank reads them for it
    work = StageWork(run.recipe, run.directory, name, stage, base, tokenizer, inputs["seed"], states)
    announce(work)
    trained = train_stage(work, run.device)
    steps = num_steps(stage.training, stage.sequence_length)
    tokens = steps * batch_rows(stage.training, stage.sequence_length) * stage.sequence_length
    run.record_time(name, trained.reached.seconds, Work(tokens, "tokens"))
    finished = FinishedStage(
        name=name,
        parent=stage.parent,
        config=dataclasses.asdict(stage),
        model=dataclasses.asdict(trained.shape),
        num_parameters=trained.shape.num_parameters,
        seed=inputs["seed"],
        tokens=tokens,
        steps=steps,
        seconds=trained.reached.seconds,
        fingerprint=inputs["fingerprint"],
        weights_sha256=sha256_checkpoint(path),
        versions=versions(),
        conversations=trained.conversations or None,
    )
    finished.write(path / STAGE_FILE)
    remove_states(path, inputs)
    drop_aside(path)
    return str(inputs["fingerprint"])


def check_states(path: Path, states: str) -> None:
    """Raises ChakuError when a stage that has begun would look for its states in another place, and begin again."""
    before = str(read_json(path / BEGUN).get("states", states)) if (path / BEGUN).exists() else states
    if before != states and saved_states(before) and not saved_states(states):
        raise ChakuError(
            f"stage {path.name} has saved its states in {before}, but training.state now means {states}: set it back, "
            "or move the states there"
        )


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


@dataclass(frozen=True)
class Trained:
    """What `train_stage` did. `shape`: of the saved model."""

    reached: Progress
    shape: LlamaConfig
    conversations: dict[str, ReplyRows]


def train_stage(work: StageWork, device: torch.device) -> Trained:
    """Train a stage and save its model and tokenizer, on all ranks together. Raises as `run_stage`."""
    name, path, tokenizer = work.name, work.path, work.tokenizer
    ranks = lay_out(work.stage.parallel, device.type)
    training = dataclasses.replace(
        work.stage.training, precision=stage_precision(work, device, ranks), state=work.states
    )
    stage = dataclasses.replace(work.stage, training=training)
    shape = stage_shape(work.recipe, name, work.base)
    if chat := stage_chat(work.recipe, name, tokenizer):
        shape, tokenizer = with_end(shape, chat), tokenizer.with_chat_template(chat.template)
    base_model = work.base_model
    model = _stage_model(work, stage, shape, base_model, device, ranks)
    dataset = make_dataset(work.recipe, work.directory, tokenizer, stage, work.seed)
    conversations = describe_sets(dataset, work.directory)
    if stage.dpo:
        dataset = with_reference(model, dataset, stage.training, path, ranks)
    heldout = heldout_batches(work.recipe, work.directory, stage, tokenizer, model, path, ranks)

    def sample(model: Llama) -> dict[str, str]:
        prompt = "def "
        [[completion]] = Engine(model, tokenizer).generate([complete(tokenizer, prompt)], SamplingParams(max_tokens=48))
        return {"prompt": prompt, "text": completion.text}

    reached = train(
        name,
        model,
        dataset,
        training,
        path,
        heldout=heldout,
        sample=sample,
        dpo=stage.dpo,
        ranks=ranks,
        project=work.recipe.name,
    )
    _save(model, stage, path, base_model, ranks)
    if ranks.is_first:
        tokenizer.save(path)
    return Trained(reached, shape, conversations)


def _stage_model(
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


def stage_precision(work: StageWork, device: torch.device, ranks: Ranks) -> Precision:
    """The precision of the saved state from which the stage goes on; else the recipe's, or what "auto" chooses here."""
    training, chosen = work.stage.training, None
    if ranks.is_first:
        steps = num_steps(training, work.stage.sequence_length)
        states = [state for state in saved_states(work.states) if goes_on(state.step, state.num_steps, steps, training)]
        newest = max(states, key=lambda state: state.step, default=None)
        chosen = (newest and newest.precision) or choose_precision(training.precision, device)
    return ranks.from_first(chosen)


def _save(model: Llama, stage: StageConfig, path: Path, base_model: Path | None, ranks: Ranks) -> None:
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


def begun_tokens(stage: Path) -> int | None:
    """The number of tokens that a stage began with; None for a stage that has not begun."""
    return int(read_json(stage / BEGUN)["tokens"]) if (stage / BEGUN).exists() else None


def problem_of_finished(path: Path) -> str:
    """The fault of a finished stage's files, in words; "" for a sound or an unfinished stage.

    This only checks that weights exist; `check_weights` reads them.
    """
    if not (path / STAGE_FILE).exists():
        return ""
    if FinishedStage.read(path / STAGE_FILE).fingerprint != read_json(path / RECORD).get("fingerprint"):
        return "stage.json, which has other inputs"
    try:
        weight_files(path)
    except ChakuError:
        return "its weights, which are missing"
    return ""


def kept_aside(path: Path, inputs: dict[str, Any]) -> bool:
    """Whether a finished stage with these inputs was set aside when `path` was begun again."""
    old = aside(path)
    record = old / RECORD
    return (old / STAGE_FILE).exists() and record.exists() and not what_changed(read_json(record), inputs)


@lru_cache
def check_weights(stage: Path) -> None:
    """Raises ChakuError when the weights of a finished stage changed after training. Checks a stage once a process."""
    record = stage / STAGE_FILE
    if record.exists() and sha256_checkpoint(stage) != FinishedStage.read(record).weights_sha256:
        raise ChakuError(
            f"the weights of {stage} changed after training (their hash differs from the hash in {STAGE_FILE}): put "
            f"them back from a copy, or remove {stage} to train it again"
        )


def make_dataset(recipe: Recipe, directory: Path, tokenizer: Tokenizer, stage: StageConfig, seed: int) -> PackedDataset:
    """The training data of a stage, from a run directory. Raises ChakuError for a set that selects no document."""
    chats = open_sets(recipe, stage, directory)
    names = [name for name in stage.mixture if name not in {chat.name for chat in chats}]
    store = TokenStore.open(directory / "tokens", "train") if names else None
    sets: list[TokenSet | ChatSet] = list(chats)
    for name in names:
        assert store is not None
        indices = select_documents(recipe, store, name)
        sets.append(TokenSet(name, indices, stage.mixture[name]))
        if len(indices) == 0:
            raise ChakuError(
                f"the set {name!r} ({recipe.sets[name]}) selects none of the {len(store)} training documents; correct "
                f"sets.{name} in the recipe"
            )
    sets.sort(key=lambda chosen: list(stage.mixture).index(chosen.name))
    return PackedDataset(
        store, sets, stage.sequence_length, tokenizer, seed, infilling=stage.infilling, infill_sets=stage.infill_sets
    )
