"""Finds finished work that a run would make again, and stops the run before it changes anything."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chaku.console import table_in_text
from chaku.files import read_json
from chaku.pipeline.chat_sets import FOLDER, given_sets, set_inputs
from chaku.pipeline.data import base_fingerprint, base_shape
from chaku.pipeline.inputs import (
    Inputs,
    corpus_fingerprint,
    corpus_inputs,
    instruct_inputs,
    shop_inputs,
    stage_inputs,
    stale_sources,
    tokenizer_inputs,
    tokens_inputs,
)
from chaku.pipeline.run_directory import NO_RECORD, FinishedWork, Run, fingerprinted, what_changed
from chaku.pipeline.training import kept_aside, problem_of_finished
from chaku.recipe.family import stage_order
from chaku.recipe.schema import BASE_MODEL, InstructSet, ShopSet
from chaku.report.table import duration
from chaku.tokens.load import load_tokenizer
from chaku.training.finished_stage import STAGE_FILE, FinishedStage

NOT_YET = "not made yet"  # in place of a fingerprint that is not known


@dataclass(frozen=True)
class Again:
    """Finished work that would be made again. `name`: its folder in the run. `seconds`: the time that it took."""

    name: str
    why: str
    seconds: float | None


def check_nothing_is_made_again(run: Run) -> None:
    """Raises FinishedWork, with a table of the work, when the run would make finished work again."""
    if found := list(made_again(run)):
        rows = [(work.name, "" if work.seconds is None else duration(work.seconds), work.why) for work in found]
        raise FinishedWork(
            "finished work would be made again; nothing was changed\n"
            f"{table_in_text([('finished work', 'it took', 'what changed'), *rows])}\n"
            "add --yes to make it again (the old work is kept until the new work is whole), or --out to run in another "
            "directory"
        )


def made_again(run: Run) -> Iterator[Again]:
    """Work in the run's directory, finished or begun, that does not fit the recipe or the files that it names."""
    recipe = run.recipe
    look = _Look(run)
    corpus: str | None = None
    if recipe.corpus.sources:
        stale = stale_sources(recipe, run.directory / "corpus")
        if look.at("corpus", corpus_inputs(recipe), stale) != NOT_YET:
            corpus = corpus_fingerprint(run.directory / "corpus")
        else:  # a tokenizer that was removed will probably come out the same
            encoded = run.record("tokens") if not look.again else None
            corpus = str(encoded["corpus"]) if encoded else NOT_YET
    tokenizer_made = look.at("tokenizer", tokenizer_inputs(recipe, corpus)) != NOT_YET
    tokenizer = load_tokenizer(run.directory / "tokenizer") if tokenizer_made else None
    tokenizer_hash = tokenizer.sha256 if tokenizer else NOT_YET
    tokens = look.at("tokens", tokens_inputs(corpus, tokenizer_hash)) if corpus else None
    if recipe.shop:
        look.at("shop", shop_inputs(recipe, tokenizer_hash))
    conversations: dict[str, str] = {}

    def look_at_set(name: str) -> None:
        inputs: Inputs = {"set": NOT_YET}
        if tokenizer and look.may_read(name):
            inputs = set_inputs(recipe, name, tokenizer, run.directory)
        conversations[name] = look.at(f"{FOLDER}/{name}", inputs)

    for name in given_sets(recipe):
        look_at_set(name)
    fingerprints = {BASE_MODEL: base_fingerprint(recipe)} if recipe.model.path else {}
    for name in stage_order(recipe):
        stage = recipe.stages[name]
        for chat_name in recipe.reply_sets(stage):
            if chat_name not in conversations:
                look_at_set(chat_name)
        inputs: Inputs = {"tokenizer": NOT_YET}
        if tokenizer:
            inputs = stage_inputs(
                recipe,
                name,
                tokens=tokens,
                parent=fingerprints.get(stage.parent or BASE_MODEL),
                base=base_shape(recipe, tokenizer),
                conversations=conversations,
            )
        fingerprints[name] = look.at_stage(name, inputs)
        if recipe.instruct and recipe.instruct.stage == name:
            look.at("instruct", instruct_inputs(recipe, fingerprints[name]))
    yield from look.again


class _Look:
    def __init__(self, run: Run):
        self.run = run
        self.again: list[Again] = []

    def at(self, name: str, inputs: Inputs, stale: str = "") -> str:
        """The fingerprint of a finished step that fits the inputs; NOT_YET for any other step."""
        record = self.run.record(name)
        if record is None:
            if (self.run.directory / name).exists():
                self.again.append(Again(name, NO_RECORD, self.run.seconds(name)))
            return NOT_YET
        if why := what_changed(record, fingerprinted(inputs)) or stale:
            self.again.append(Again(name, why, self.run.seconds(name)))
            return NOT_YET
        return str(record["fingerprint"])

    def at_stage(self, name: str, inputs: Inputs) -> str:
        made_from = fingerprinted(inputs)
        path = self.run.directory / "stages" / name
        record = self.run.record(f"stages/{name}")
        if kept_aside(path, made_from):
            return str(made_from["fingerprint"])
        why = what_changed(record, made_from) or problem_of_finished(path) if record else NO_RECORD
        if not why:
            return str(made_from["fingerprint"])
        if (cost := _seconds_of(path)) is not None:
            self.again.append(Again(f"stages/{name}", why, cost))
        return NOT_YET

    def may_read(self, name: str) -> bool:
        """Whether the files of a set exist and are up to date; a run makes the files of some sets itself."""
        steps: dict[type, str] = {ShopSet: "shop", InstructSet: "instruct"}
        step = steps.get(type(self.run.recipe.sets[name]))
        again = {found.name for found in self.again}
        return step is None or (step not in again and (self.run.directory / step).is_dir())


def _seconds_of(stage: Path) -> float | None:
    """Seconds of training in a stage, finished or not; None for a stage that has saved nothing yet."""
    if (stage / STAGE_FILE).exists():
        return FinishedStage.read(stage / STAGE_FILE).seconds
    saved = sorted(stage.glob("state/step-*/progress.json"))
    return float(read_json(saved[-1]).get("seconds", 0.0)) if saved else None
