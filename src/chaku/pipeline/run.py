"""Run a recipe: corpus, tokenizer, tokens, stages, evals, report. What is done is skipped; what was cut off goes on."""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from chaku.files import explain_full_disk, sha256_file, sha256_json, write_json
from chaku.instruct.conversations import find_files
from chaku.instruct.step import Instruct, run_instruct
from chaku.pipeline.budget import token_budgets
from chaku.pipeline.chat_sets import FOLDER, all_chat_names, chat_names, encode_set, in_run, set_inputs
from chaku.pipeline.data import base_fingerprint, base_shape, build, encode, given_tokenizer, make_tokenizer
from chaku.pipeline.leave_out import ready, record
from chaku.pipeline.measures import ask_about_shop, evaluate, stage_engine, write_samples
from chaku.pipeline.stage import run_stage, stage_fields, stage_seed
from chaku.pipeline.steps import Run, only_one
from chaku.pipeline.try_it import write_commands
from chaku.recipe import BASE_MODEL, Recipe, set_path, shop_stages, stage_order, stage_shape
from chaku.report import write_report
from chaku.sql.example_prompts import TRAINED_PROMPT
from chaku.sql.prepare import prepared_prompt
from chaku.sql.stage import make_shop
from chaku.tokens.tokenizer import Tokenizer


def run_recipe(
    recipe: Recipe, directory: Path, *, device: torch.device | None = None, without_missing: bool = False
) -> Path:
    """Run every step of a recipe into `directory`; returns the path of the report.

    What the recipe needs is checked before the first step; `without_missing` leaves out what lacks something here, and
    the report says so. Safe to kill at any moment: the same call goes on from what is whole. Raises ChakuError for what
    the user can mend, Interrupted after a signal.
    """
    if recipe.num_threads:
        torch.set_num_threads(recipe.num_threads)
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    whole = dataclasses.asdict(recipe)
    recipe, left_out = ready(recipe, directory, device, without_missing=without_missing)
    run = Run(in_run(recipe, directory), directory, device)
    with only_one(directory), explain_full_disk(directory):
        write_json(directory / "recipe.json", whole)
        record(directory, left_out)
        corpus: dict[str, Any] = {"fingerprint": None}
        if recipe.corpus.sources:
            corpus = run.step("corpus", {"corpus": dataclasses.asdict(recipe.corpus)}, lambda path: build(run, path))
        tokenizer_inputs: dict[str, Any] = {"tokenizer": dataclasses.asdict(recipe.tokenizer)}
        if (given := given_tokenizer(recipe)) is None:
            tokenizer_inputs["corpus"] = corpus["fingerprint"]
        else:
            tokenizer_inputs["sha256"] = given.sha256
        run.step("tokenizer", tokenizer_inputs, lambda path: make_tokenizer(run, path))
        tokenizer = Tokenizer.load(directory / "tokenizer")
        tokens: dict[str, Any] = {"fingerprint": None}
        if recipe.corpus.sources:
            tokens = run.step(
                "tokens",
                {"corpus": corpus["fingerprint"], "tokenizer": tokenizer.sha256},
                lambda path: encode(run, tokenizer, path),
            )
        if recipe.shop:
            shop_inputs = {"shop": dataclasses.asdict(recipe.shop), "seed": recipe.seed, "tokenizer": tokenizer.sha256}
            shop = recipe.shop
            run.step("shop", shop_inputs, lambda path: make_shop(shop, tokenizer, path, recipe.seed))
        fingerprints = _train_stages(run, recipe, tokenizer, tokens["fingerprint"])
        evaluate(run, fingerprints)
        learnt = shop_stages(recipe)
        ask_about_shop(run, learnt, fingerprints)
        write_samples(run, tokenizer, {name: fingerprints[name] for name in recipe.evals.stages})
        write_commands(run, fingerprints, learnt)
        return write_report(directory)


def _train_stages(run: Run, recipe: Recipe, tokenizer: Tokenizer, tokens: str | None) -> dict[str, str]:
    """Every stage in order, with what it needs and what is made of it between; returns the stages' fingerprints.

    `recipe`: as written, so that the fingerprints do not depend on the run's directory; `run.recipe` has its paths.
    """
    conversations = {name: _encode_set(run, name, tokenizer) for name in all_chat_names(recipe)}
    base = base_shape(recipe, tokenizer)
    budgets = token_budgets(run, base, tokenizer)
    fingerprints = {BASE_MODEL: base_fingerprint(recipe)} if recipe.model.path else {}
    for name in stage_order(recipe):
        stage = recipe.stages[name]
        training = dataclasses.replace(stage.training, tokens=budgets[name], share=None, epochs=None)
        stage = dataclasses.replace(stage, training=training)
        inputs = {
            "stage": stage_fields(stage),
            "sets": {key: dataclasses.asdict(recipe.sets[key]) for key in stage.mixture},
            "tokens": tokens,
            "model": dataclasses.asdict(stage_shape(recipe, name, base)),
            "seed": stage_seed(recipe, name),
            "parent": fingerprints[stage.parent] if stage.parent else base_fingerprint(recipe),
        }
        if chats := chat_names(recipe, stage):
            for each in chats:
                if each not in conversations:  # made by this run
                    conversations[each] = _encode_set(run, each, tokenizer)
            inputs["conversations"] = {each: conversations[each] for each in chats}
        fingerprints[name] = run_stage(run, name, stage, base, tokenizer, inputs)
        files = [path for each in chat_names(recipe, stage) for path in find_files(set_path(run.recipe.sets[each]))]
        if learnt := prepared_prompt(files):
            write_json(run.directory / "stages" / name / TRAINED_PROMPT, dataclasses.asdict(learnt))
        if recipe.instruct and recipe.instruct.stage == name:
            _write_instructions(run, recipe.instruct, fingerprints[name])
    return fingerprints


def _encode_set(run: Run, name: str, tokenizer: Tokenizer) -> str:
    inputs = set_inputs(run.recipe, name, tokenizer)
    made = run.step(f"{FOLDER}/{name}", inputs, lambda path: encode_set(run.recipe, name, tokenizer, path))
    return str(made["fingerprint"])


def _write_instructions(run: Run, settings: Instruct, stage: str) -> None:
    """`stage`: the fingerprint of the stage that writes."""
    inputs = {"instruct": dataclasses.asdict(settings), "stage": stage, "seed": run.recipe.seed}
    if settings.questions:
        inputs["questions"] = sha256_file(Path(settings.questions))

    def make(path: Path) -> tuple[float, str]:
        path.mkdir(parents=True, exist_ok=True)
        engine = stage_engine(run, settings.stage)
        return run_instruct(settings, engine, path, run.recipe.seed, sha256_json(inputs))

    run.step("instruct", inputs, make)
