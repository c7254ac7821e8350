"""Train one stage: its data, its model, and the checkpoint that it leaves."""

import dataclasses
import platform
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import chaku
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
from chaku.model.config import LlamaConfig
from chaku.model.llama import Llama
from chaku.model.lora import add_lora, merge_lora
from chaku.pipeline.chat_sets import describe_sets, open_sets, stage_chat, with_end
from chaku.pipeline.run_directory import NO_RECORD, Run, fingerprinted, what_changed
from chaku.recipe.family import stage_shape
from chaku.recipe.schema import DocumentSet, Recipe, StageConfig
from chaku.tokens.loader import ChatSet, PackedDataset, TokenSet
from chaku.tokens.store import TokenStore
from chaku.tokens.tokenizer import Tokenizer
from chaku.training.dpo import with_reference
from chaku.training.schedule import batch_rows, num_steps
from chaku.training.trainer import train

STAGE_FILE = "stage.json"  # of a stage that is done
BEGUN = "begun.json"  # of a stage that is begun: its tokens, which follow from the speed measured then
HELDOUT_ROWS = 8  # sequences a set in the held-out loss that is logged during training


def run_stage(
    run: Run, name: str, stage: StageConfig, base: LlamaConfig, tokenizer: Tokenizer, inputs: dict[str, Any]
) -> str:
    """Train a stage, or go on with it, or leave it as it is where it is done; returns the fingerprint of its inputs.

    What was trained from other inputs is kept beside, until this stage is whole; then it is removed. Raises ChakuError
    for what the user can mend, Interrupted after a signal.
    """
    path = run.directory / "stages" / name
    inputs = fingerprinted(inputs)
    record = run.record(f"stages/{name}")
    why = what_changed(record, inputs) or problem_of_finished(path) if record else NO_RECORD
    if why and kept_aside(path, inputs):
        say(f"{name}: what was trained with these settings before is put back")
        remove_directory(path)
        restore(path)
    elif why and path.exists():
        run.replace(f"stages/{name}", why)
        set_aside(path)
    if (path / STAGE_FILE).exists():
        say(f"{name}: done before")
        shutil.rmtree(path / "state", ignore_errors=True)  # a kill at the very end leaves it
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
                    f"stage {name}: LoRA freezes the infilling pieces that are new here; train them before"
                )
            say(f"{name}: {shape.vocab_size - model.config.vocab_size} embeddings are added for the infilling pieces")
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
        if stage.base_quantization:  # the adapter goes into the base as it was
            del model  # first: there may be no room for both
            model = load_model(base_model, device=run.device)
            model.config = shape
            load_adapter(model, path / "adapter")
        merge_lora(model)
    save_model(model, path)
    tokenizer.save(path)
    steps = num_steps(stage.training, stage.sequence_length)
    tokens = steps * batch_rows(stage.training, stage.sequence_length) * stage.sequence_length
    run.record_time(name, reached.seconds, tokens, "tokens")
    write_json(
        path / STAGE_FILE,
        {
            "name": name,
            "parent": stage.parent,
            "kind": "train",
            "config": dataclasses.asdict(stage),
            **({"conversations": conversations} if conversations else {}),
            "model": dataclasses.asdict(shape),
            "num_parameters": shape.num_parameters,
            "seed": inputs["seed"],
            "tokens": tokens,
            "steps": steps,
            "seconds": reached.seconds,
            "fingerprint": inputs["fingerprint"],
            "weights_sha256": sha256_checkpoint(path),
            "versions": {"chaku": chaku.__version__, "torch": torch.__version__, "python": platform.python_version()},
        },
    )
    shutil.rmtree(path / "state", ignore_errors=True)
    drop_aside(path)
    return str(inputs["fingerprint"])


def begun_tokens(stage: Path) -> int | None:
    """The tokens that a stage began with; None where it did not begin."""
    return int(read_json(stage / BEGUN)["tokens"]) if (stage / BEGUN).exists() else None


def problem_of_finished(path: Path) -> str:
    """What is wrong with a stage that says that it is done, in words; "" where nothing is, or it is not done.

    Weights are only looked for here: `check_weights` reads them.
    """
    if not (path / STAGE_FILE).exists():
        return ""
    if read_json(path / STAGE_FILE).get("fingerprint") != read_json(path / RECORD).get("fingerprint"):
        return "stage.json, which is of other inputs"
    try:
        weight_files(path)
    except ChakuError:
        return "its weights, which are gone"
    return ""


def kept_aside(path: Path, inputs: dict[str, Any]) -> bool:
    """Whether a finished stage of these inputs is kept beside `path`, because it was to be replaced."""
    old = aside(path)
    record = old / RECORD
    return (old / STAGE_FILE).exists() and record.exists() and not what_changed(read_json(record), inputs)


@lru_cache
def check_weights(stage: Path) -> None:
    """Raises ChakuError where the weights of a finished stage are not those that were written. Once a process."""
    if (stage / STAGE_FILE).exists() and sha256_checkpoint(stage) != read_json(stage / STAGE_FILE)["weights_sha256"]:
        raise ChakuError(
            f"the weights of {stage} are not those that its training wrote (their hash differs from that of "
            f"{STAGE_FILE}): put them back from a copy, or remove {stage} to train it again"
        )


def make_dataset(recipe: Recipe, directory: Path, tokenizer: Tokenizer, stage: StageConfig, seed: int) -> PackedDataset:
    """The batches of a stage, from a run directory. Raises ChakuError for a set that selects no document."""
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
                f"the set {name!r} ({recipe.sets[name]}) selects none of the {len(store)} training documents"
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
