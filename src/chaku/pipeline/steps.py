"""The steps of a run in their order, from the corpus to the last stage: to make them, or to look at what is there."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from chaku.files import sha256_json
from chaku.pipeline.chat_sets import FOLDER, encode_set, given_sets, prompts_fingerprint, set_inputs
from chaku.pipeline.data import (
    REPOSITORIES,
    base_fingerprint,
    base_shape,
    build,
    encode,
    make_tokenizer,
    order_repositories,
)
from chaku.pipeline.inputs import (
    Inputs,
    corpus_fingerprint,
    corpus_inputs,
    instruct_inputs,
    stage_inputs,
    stale_sources,
    tokenizer_inputs,
)
from chaku.pipeline.measuring import stage_engine
from chaku.pipeline.run_directory import Run, Work, fingerprinted
from chaku.pipeline.self_instruct import run_instruct
from chaku.pipeline.shop import make_shop
from chaku.plain import result_settings
from chaku.recipe.family import stage_order
from chaku.recipe.schema import BASE_MODEL, InstructSet, ShopSet

LEDGER = "ledger.sqlite"  # in a run directory: the prompts, replies and runs of [instruct]
NOT_YET = "not made yet"  # in place of a fingerprint that is not known


class Actor(Protocol):
    """Makes the steps of a run, or looks at them.

    Both methods return the fingerprint of the inputs of a step that is made; NOT_YET for any other step.
    """

    def step(self, name: str, inputs: Inputs, make: Callable[[Path], Work], stale: str = "") -> str:
        """The step that makes the folder `name`, as `Run.step` does."""

    def stage(self, name: str, inputs: Inputs) -> str:
        """The training of the stage `name`."""


def walk(run: Run, actor: Actor) -> dict[str, str]:
    """Take `actor` through the steps; returns the fingerprints of the stages and of the base model, if there is one."""
    recipe, directory = run.recipe, run.directory
    corpus: str | None = None
    if recipe.corpus.sources:
        stale = stale_sources(recipe, directory / "corpus")
        done = actor.step("corpus", corpus_inputs(recipe), lambda path: build(run, path), stale)
        corpus = corpus_fingerprint(directory / "corpus") if done != NOT_YET else _corpus_before(run)
    done = actor.step("tokenizer", tokenizer_inputs(recipe, corpus), lambda path: make_tokenizer(run, path))
    tokenizer = run.tokenizer if done != NOT_YET else None
    tokenizer_hash = tokenizer.sha256 if tokenizer else NOT_YET
    tokens: str | None = None
    if corpus:
        inputs: Inputs = {"corpus": corpus, "tokenizer": tokenizer_hash}
        done = actor.step("tokens", inputs, lambda path: encode(run, run.tokenizer, path))
        tokens = _removed_with(_will_be(done, inputs), run, "tokens") if tokenizer else _will_be(done, inputs)
    repositories: str | None = None
    if any(recipe.joins_repositories(stage) for stage in recipe.stages.values()):
        inputs = {"corpus": corpus, "seed": recipe.seed}
        done = actor.step(REPOSITORIES, inputs, lambda path: order_repositories(run, path))
        repositories = _removed_with(_will_be(done, inputs), run, REPOSITORIES)
    makers: dict[type, str] = {}  # of the sets that a step of the run makes: the step's fingerprint
    if shop := recipe.shop:
        inputs = {"shop": result_settings(shop), "seed": recipe.seed, "tokenizer": tokenizer_hash}
        makers[ShopSet] = actor.step("shop", inputs, lambda path: make_shop(shop, run.tokenizer, path, recipe.seed))
    conversations: dict[str, str] = {}
    prompts: dict[str, str] = {}  # of stages with `grpo`

    def inputs_of_set(name: str) -> Inputs:
        if tokenizer and makers.get(type(recipe.sets[name])) != NOT_YET:
            return set_inputs(recipe, name, tokenizer, directory)
        return {"set": NOT_YET}

    def step_of_set(name: str) -> None:
        inputs = inputs_of_set(name)
        if NOT_YET in inputs.values():
            inputs = _set_before(run, name) or inputs
        done = actor.step(
            f"{FOLDER}/{name}", inputs, lambda path: encode_set(recipe, name, run.tokenizer, directory, path)
        )
        conversations[name] = _will_be(done, inputs)

    for name in given_sets(recipe):
        step_of_set(name)
    base = base_shape(recipe, tokenizer) if tokenizer else None
    fingerprints = {BASE_MODEL: base_fingerprint(recipe)} if recipe.model.path else {}
    for name in stage_order(recipe):
        stage = recipe.stages[name]
        for chat_name in recipe.reply_sets(stage):
            if stage.grpo:
                inputs = inputs_of_set(chat_name)
                begun = (run.record(f"stages/{name}") or {}).get("conversations", {}).get(chat_name)
                unknown = NOT_YET in inputs.values()
                prompts[chat_name] = NOT_YET if unknown else prompts_fingerprint(inputs, directory, begun)
            elif chat_name not in conversations:  # [instruct] made it just now
                step_of_set(chat_name)
        inputs = {"tokenizer": NOT_YET}
        if base:
            parent = fingerprints.get(stage.parent or BASE_MODEL)
            chats = prompts if stage.grpo else conversations
            inputs = stage_inputs(recipe, name, tokens=tokens, parent=parent, base=base, conversations=chats)
            if recipe.joins_repositories(stage):
                inputs["repositories"] = repositories
        fingerprints[name] = actor.stage(name, inputs)
        if recipe.instruct and recipe.instruct.stage == name:
            makers[InstructSet] = _instruct(run, actor, instruct_inputs(recipe, fingerprints[name]))
    return fingerprints


def _will_be(done: str, inputs: Inputs) -> str:
    """The fingerprint of a step once it is made: that of its inputs, where they are known.

    So a stage does not count as changed because a folder that it was trained on was removed, to save disk say.
    """
    return str(fingerprinted(inputs)["fingerprint"]) if done == NOT_YET and NOT_YET not in inputs.values() else done


def _set_before(run: Run, name: str) -> Inputs | None:
    """The inputs that a set of conversations was made from, if the folder of its texts was removed since.

    They will probably come out the same; a difference is found when they are made.
    """
    folder = {ShopSet: "shop", InstructSet: "instruct"}.get(type(run.recipe.sets[name]))
    if folder is None or (run.directory / folder).exists():
        return None
    before = run.record(f"{FOLDER}/{name}")
    return {key: value for key, value in before.items() if key != "fingerprint"} if before else None


def _corpus_before(run: Run) -> str:
    """The fingerprint of a corpus that was removed, since it will probably come out the same; NOT_YET for any other."""
    if (run.directory / "corpus").exists():
        return NOT_YET
    records = (run.record(name) for name in ("tokens", "tokenizer", REPOSITORIES))  # which may be removed too
    return next((str(record["corpus"]) for record in records if record and record.get("corpus")), NOT_YET)


def _removed_with(done: str, run: Run, name: str) -> str:
    """The fingerprint of a step whose folder was removed together with the corpus, from a stage that was made from it.

    A difference is found when it is made. Else `done`.
    """
    if done != NOT_YET or (run.directory / "corpus").exists() or (run.directory / name).exists():
        return done
    records = (run.record(f"stages/{stage}") for stage in run.recipe.stages)
    return next((str(record[name]) for record in records if record and record.get(name)), done)


def _instruct(run: Run, actor: Actor, inputs: Inputs) -> str:
    settings = run.recipe.instruct
    assert settings is not None

    def make(path: Path) -> Work:
        engine = stage_engine(run, settings.stage)
        return run_instruct(settings, engine, path, run.recipe.seed, run.directory / LEDGER, sha256_json(inputs))

    return actor.step("instruct", inputs, make)
