"""Trains one stage: loads its data and its model, and writes its checkpoint."""

import dataclasses
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from chaku.checkpoint.formats import sha256_checkpoint
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
from chaku.pipeline.chat_sets import describe_sets, open_sets, stage_chat, with_end
from chaku.pipeline.data import ORDER_FILE, REPOSITORIES
from chaku.pipeline.going_on import begin_from_finished, obstacle_to_going_on, remove_states, states_of
from chaku.pipeline.heldout import heldout_batches, select_documents
from chaku.pipeline.rollouts import open_rollouts
from chaku.pipeline.run_directory import NO_RECORD, Run, Work, fingerprinted, what_changed
from chaku.pipeline.stage_model import StageWork, save_stage, stage_model, stage_precision
from chaku.recipe.family import stage_shape
from chaku.recipe.schema import DocumentSet, Recipe, StageConfig
from chaku.tokens.packed_dataset import ChatSet, PackedDataset, TokenSet
from chaku.tokens.repository_documents import RepositoryFiles
from chaku.tokens.store import TokenStore
from chaku.tokens.tokenizer import Tokenizer
from chaku.training.dpo import with_reference
from chaku.training.finished_stage import STAGE_FILE, FinishedStage, ReplyRows
from chaku.training.ranks import ALONE, Ranks, announce, lay_out
from chaku.training.schedule import batch_rows, num_steps
from chaku.training.state import Progress, saved_states
from chaku.training.trainer import train

PLANS = "packing"  # in the folder of a run's tokens: the packing plans that its stages made
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
    model = stage_model(work, stage, shape, base_model, device, ranks)
    if stage.grpo:
        assert chat is not None
        with closing(open_rollouts(work, stage, model, tokenizer, chat, ranks)) as rollouts:
            reached = train(name, model, rollouts, training, path, ranks=ranks, project=work.recipe.name)
        save_stage(model, stage, path, base_model, ranks)
        tokenizer.save(path)
        return Trained(reached, shape, {})
    dataset = make_dataset(work.recipe, work.directory, tokenizer, stage, work.seed, ranks)
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
    save_stage(model, stage, path, base_model, ranks)
    if ranks.is_first:
        tokenizer.save(path)
    return Trained(reached, shape, conversations)


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


def make_dataset(
    recipe: Recipe, directory: Path, tokenizer: Tokenizer, stage: StageConfig, seed: int, ranks: Ranks = ALONE
) -> PackedDataset:
    """The training data of a stage, from a run directory. Raises ChakuError for a set that selects no document.

    The first rank makes the packing plans, which the others then map.
    """
    chats = open_sets(recipe, stage, directory)
    names = [name for name in stage.mixture if name not in {chat.name for chat in chats}]
    store = TokenStore.open(directory / "tokens", "train") if names else None
    sets: list[TokenSet | ChatSet] = list(chats)
    for name in names:
        assert store is not None
        indices, files = select_documents(recipe, store, name), None
        selection = recipe.sets[name]
        if isinstance(selection, DocumentSet) and selection.repositories and len(indices):
            files = RepositoryFiles.read(directory / REPOSITORIES / ORDER_FILE, indices)
            indices = files.documents
        sets.append(TokenSet(name, indices, stage.mixture[name], files))
        if len(indices) == 0:
            raise ChakuError(
                f"the set {name!r} ({recipe.sets[name]}) selects none of the {len(store)} training documents; correct "
                f"sets.{name} in the recipe"
            )
    sets.sort(key=lambda chosen: list(stage.mixture).index(chosen.name))
    training, length = stage.training, stage.sequence_length

    def packed() -> PackedDataset:
        return PackedDataset(
            store,
            sets,
            length,
            tokenizer,
            seed,
            infilling=stage.infilling,
            infill_sets=stage.infill_sets,
            num_samples=num_steps(training, length) * batch_rows(training, length) if training.tokens else None,
            plans=directory / "tokens" / PLANS,
        )

    dataset = packed() if ranks.is_first else None
    ranks.from_first(None)  # the plans are there
    return packed() if dataset is None else dataset
