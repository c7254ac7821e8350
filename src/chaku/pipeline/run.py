"""Runs a recipe: corpus, tokenizer, tokens, stages, evals, report. Skips finished steps; continues interrupted ones."""

import dataclasses
from pathlib import Path

import torch

from chaku.files import explain_full_disk, remove_partials, sha256_json, write_json
from chaku.instruct.conversations import find_files
from chaku.pipeline.budget import token_budgets
from chaku.pipeline.chat_sets import FOLDER, encode_set, given_sets, set_inputs, source_of
from chaku.pipeline.data import base_fingerprint, base_shape, build, encode, make_tokenizer
from chaku.pipeline.finished_work import check_nothing_is_made_again
from chaku.pipeline.inputs import (
    corpus_fingerprint,
    corpus_inputs,
    instruct_inputs,
    shop_inputs,
    stage_inputs,
    stale_sources,
    tokenizer_inputs,
    tokens_inputs,
)
from chaku.pipeline.leave_out import ready, record
from chaku.pipeline.measuring import ask_about_shop, evaluate, stage_engine, write_samples
from chaku.pipeline.run_directory import Run, Work, only_one
from chaku.pipeline.self_instruct import run_instruct
from chaku.pipeline.shop import make_shop
from chaku.pipeline.training import run_stage
from chaku.pipeline.try_it import write_commands
from chaku.recipe.family import shop_stages, stage_order
from chaku.recipe.schema import BASE_MODEL, Recipe
from chaku.report import write_report
from chaku.sql.training.example_prompts import TRAINED_PROMPT
from chaku.sql.training.prepare import prepared_prompt
from chaku.tokens.load import load_tokenizer
from chaku.tokens.tokenizer import Tokenizer

LEDGER = "ledger.sqlite"  # in a run directory: the prompts, replies and runs of [instruct]


def run_recipe(
    recipe: Recipe,
    directory: Path,
    *,
    device: torch.device | None = None,
    without_missing: bool = False,
    make_again: bool = False,
) -> Path:
    """Run every step of a recipe into `directory`; returns the path of the report.

    The requirements of the recipe are checked before the first step. `without_missing`: leave out the parts that lack
    something here; the report lists them. A run may be killed at any moment; the same call continues it. `make_again`:
    when the recipe or its sources changed, make finished work again; the old work is kept until the new work is whole.

    Raises FinishedWork when finished work would be made again without `make_again`, and ChakuError for errors that the
    user can correct, both before anything is changed. Raises Interrupted after a signal.
    """
    if recipe.num_threads:
        torch.set_num_threads(recipe.num_threads)
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    whole = dataclasses.asdict(recipe)
    recipe, left_out = ready(recipe, directory, device, without_missing=without_missing)
    run = Run(recipe, directory, device, make_again)
    with only_one(directory), explain_full_disk(directory):
        if not make_again:
            check_nothing_is_made_again(run)
        remove_partials(directory)
        write_json(directory / "recipe.json", whole)
        record(directory, left_out)
        corpus: str | None = None
        if recipe.corpus.sources:
            stale = stale_sources(recipe, directory / "corpus")
            run.step("corpus", corpus_inputs(recipe), lambda path: build(run, path), stale)
            corpus = corpus_fingerprint(directory / "corpus")
        run.step("tokenizer", tokenizer_inputs(recipe, corpus), lambda path: make_tokenizer(run, path))
        tokenizer = load_tokenizer(directory / "tokenizer")
        tokens: str | None = None
        if corpus:
            inputs = tokens_inputs(corpus, tokenizer.sha256)
            tokens = run.step("tokens", inputs, lambda path: encode(run, tokenizer, path))
        if recipe.shop:
            shop = recipe.shop
            inputs = shop_inputs(recipe, tokenizer.sha256)
            run.step("shop", inputs, lambda path: make_shop(shop, tokenizer, path, recipe.seed))
        fingerprints = _train_stages(run, tokenizer, tokens)
        evaluate(run, fingerprints)
        learnt = shop_stages(recipe)
        ask_about_shop(run, learnt, fingerprints)
        write_samples(run, tokenizer, {name: fingerprints[name] for name in recipe.evals.stages})
        write_commands(run, fingerprints, learnt)
        return write_report(directory)


def _train_stages(run: Run, tokenizer: Tokenizer, tokens: str | None) -> dict[str, str]:
    """Train every stage in order; encode its conversations before, run [instruct] after the stage that writes.

    Returns the stages' fingerprints.
    """
    recipe = run.recipe
    conversations = {name: _encode_set(run, name, tokenizer) for name in given_sets(recipe)}
    base = base_shape(recipe, tokenizer)
    budgets = token_budgets(run, base, tokenizer)
    fingerprints = {BASE_MODEL: base_fingerprint(recipe)} if recipe.model.path else {}
    for name in stage_order(recipe):
        stage = recipe.stages[name]
        training = dataclasses.replace(stage.training, tokens=budgets[name], share=None, epochs=None)
        chats = recipe.reply_sets(stage)
        for chat_name in chats:
            if chat_name not in conversations:  # [instruct] made it just now
                conversations[chat_name] = _encode_set(run, chat_name, tokenizer)
        inputs = stage_inputs(
            recipe,
            name,
            tokens=tokens,
            parent=fingerprints.get(stage.parent or BASE_MODEL),
            base=base,
            conversations=conversations,
        )
        stage = dataclasses.replace(stage, training=training)
        fingerprints[name] = run_stage(run, name, stage, base, tokenizer, inputs)
        files = [path for chosen in chats.values() for path in find_files(source_of(chosen, run.directory))]
        if learnt := prepared_prompt(files):
            write_json(run.directory / "stages" / name / TRAINED_PROMPT, dataclasses.asdict(learnt))
        if recipe.instruct and recipe.instruct.stage == name:
            _write_instructions(run, fingerprints[name])
    return fingerprints


def _encode_set(run: Run, name: str, tokenizer: Tokenizer) -> str:
    inputs = set_inputs(run.recipe, name, tokenizer, run.directory)
    return run.step(
        f"{FOLDER}/{name}", inputs, lambda path: encode_set(run.recipe, name, tokenizer, run.directory, path)
    )


def _write_instructions(run: Run, stage: str) -> None:
    """Run self-instruct. `stage`: the fingerprint of the stage that writes."""
    settings = run.recipe.instruct
    assert settings is not None

    def make(path: Path) -> Work:
        engine = stage_engine(run, settings.stage)
        return run_instruct(settings, engine, path, run.recipe.seed, run.directory / LEDGER, sha256_json(inputs))

    inputs = instruct_inputs(run.recipe, stage)
    run.step("instruct", inputs, make)
