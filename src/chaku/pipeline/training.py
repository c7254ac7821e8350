"""Trains one stage: loads its data and its model, and writes its checkpoint."""

import dataclasses
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chaku.checkpoint.formats import load_model, sha256_checkpoint
from chaku.checkpoint.huggingface import save_model
from chaku.checkpoint.peft import save_adapter
from chaku.checkpoint.peft_read import load_adapter
from chaku.checkpoint.weights import weight_files
from chaku.console import say
from chaku.errors import ChakuError
from chaku.files import RECORD, aside, drop_aside, read_json, remove_directory, restore, set_aside, write_json
from chaku.inference.engine import Engine
from chaku.inference.generator import SamplingParams
from chaku.inference.prompts import complete
from chaku.manifest import versions
from chaku.model.config import LlamaConfig
from chaku.model.llama import Llama
from chaku.model.lora import add_lora, merge_lora
from chaku.pipeline.chat_sets import describe_sets, open_sets, stage_chat, with_end
from chaku.pipeline.run_directory import NO_RECORD, Run, Work, fingerprinted, what_changed
from chaku.recipe.family import stage_shape
from chaku.recipe.schema import DocumentSet, Recipe, StageConfig
from chaku.tokens.loader import ChatSet, PackedDataset, TokenSet
from chaku.tokens.store import TokenStore
from chaku.tokens.tokenizer import Tokenizer
from chaku.training.dpo import with_reference
from chaku.training.finished_stage import STAGE_FILE, FinishedStage
from chaku.training.schedule import batch_rows, num_steps
from chaku.training.trainer import train

BEGUN = "begun.json"  # in the folder of a stage that has begun: its number of tokens
HELDOUT_ROWS = 8  # sequences of each set in the held-out loss during training


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
        run.replace(f"stages/{name}", why)
        set_aside(path)
    if (path / STAGE_FILE).exists():
        say(f"{name}: done before")
        shutil.rmtree(path / "state", ignore_errors=True)  # left by a kill at the very end
        drop_aside(path)
        return str(inputs["fingerprint"])
    assert stage.training.tokens is not None
    write_json(path / BEGUN, {"tokens": stage.training.tokens})
    write_json(path / RECORD, inputs)
    shape = stage_shape(run.recipe, name, base)
    if chat := stage_chat(run.recipe, name, tokenizer):
        shape, tokenizer = with_end(shape, chat), tokenizer.with_chat_template(chat.template)
    if stage.parent is not None or run.recipe.model.path is not None:
        base_model = Path(run.recipe.model.path or "")
        if stage.parent:
            base_model = run.directory / "stages" / stage.parent
            check_weights(base_model)
        model = load_model(base_model, device=run.device, scheme=stage.base_quantization)
        if model.config.vocab_size < shape.vocab_size:
            if stage.lora:
                raise ChakuError(
                    f"stage {name}: LoRA freezes embeddings, but the infilling tokens are new and must be trained; "
                    "remove `lora`, or add a parent stage with infilling and without `lora`"
                )
            say(f"{name}: added {shape.vocab_size - model.config.vocab_size} embeddings for the infilling tokens")
            model.add_embeddings(shape.vocab_size, torch.Generator().manual_seed(inputs["seed"]))
        model.config = shape
        if stage.lora:
            add_lora(model, stage.lora, torch.Generator(run.device).manual_seed(inputs["seed"]))
    else:
        torch.manual_seed(inputs["seed"])
        model = Llama(shape).to(run.device)
    dataset = make_dataset(run.recipe, run.directory, tokenizer, stage, inputs["seed"])
    conversations = describe_sets(dataset, run.directory)
    if stage.dpo:
        dataset = with_reference(model, dataset, stage.training, path)
    heldout = _heldout(run.recipe, run.directory, tokenizer, stage)

    def sample(model: Llama) -> dict[str, str]:
        prompt = "def "
        [[completion]] = Engine(model, tokenizer).generate([complete(tokenizer, prompt)], SamplingParams(max_tokens=48))
        return {"prompt": prompt, "text": completion.text}

    reached = train(name, model, dataset, stage.training, path, heldout=heldout, sample=sample, dpo=stage.dpo)
    if stage.lora:
        save_adapter(model, stage.lora, path / "adapter", str(base_model))
        if stage.base_quantization:  # merge the adapter into the base before quantization
            del model  # memory may not have room for two models
            model = load_model(base_model, device=run.device)
            model.config = shape
            load_adapter(model, path / "adapter")
        merge_lora(model)
    save_model(model, path)
    tokenizer.save(path)
    steps = num_steps(stage.training, stage.sequence_length)
    tokens = steps * batch_rows(stage.training, stage.sequence_length) * stage.sequence_length
    run.record_time(name, reached.seconds, Work(tokens, "tokens"))
    finished = FinishedStage(
        name=name,
        parent=stage.parent,
        config=dataclasses.asdict(stage),
        model=dataclasses.asdict(shape),
        num_parameters=shape.num_parameters,
        seed=inputs["seed"],
        tokens=tokens,
        steps=steps,
        seconds=reached.seconds,
        fingerprint=inputs["fingerprint"],
        weights_sha256=sha256_checkpoint(path),
        versions=versions(),
        conversations=conversations or None,
    )
    finished.write(path / STAGE_FILE)
    shutil.rmtree(path / "state", ignore_errors=True)
    drop_aside(path)
    return str(inputs["fingerprint"])


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
        indices = _select(recipe, store, name)
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


def _select(recipe: Recipe, store: TokenStore, name: str) -> np.ndarray:
    selection = recipe.sets[name]
    assert isinstance(selection, DocumentSet)
    return store.select(kinds=selection.kinds, languages=selection.languages)


def _heldout(recipe: Recipe, directory: Path, tokenizer: Tokenizer, stage: StageConfig) -> dict[str, Tensor]:
    batches: dict[str, Tensor] = {}
    names = [name for name in stage.mixture if isinstance(recipe.sets[name], DocumentSet)]
    if not names:
        return batches
    store = TokenStore.open(directory / "tokens", "heldout")
    for name in names:
        indices = _select(recipe, store, name)
        if len(indices):
            dataset = PackedDataset(
                store, [TokenSet(name, indices, 1.0)], stage.sequence_length, tokenizer, 0, infilling=None
            )
            rows = [torch.as_tensor(dataset[row].tokens.astype("int64")) for row in range(HELDOUT_ROWS)]
            batches[name] = torch.stack(rows)
    return batches
