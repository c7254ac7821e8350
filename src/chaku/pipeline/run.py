"""Runs a recipe: corpus, tokenizer, tokens, stages, evals, report. Skips finished steps; continues interrupted ones."""

import dataclasses
from contextlib import closing
from functools import cached_property
from pathlib import Path

import torch

from chaku.files import explain_full_disk, remove_partials, write_json
from chaku.inference.shared_decoder import WriteWork, help_to_write
from chaku.instruct.conversations import find_files
from chaku.model.config import LlamaConfig
from chaku.pipeline.budget import SpeedWork, measure_speed, token_budgets
from chaku.pipeline.chat_sets import source_of
from chaku.pipeline.data import base_shape
from chaku.pipeline.finished_work import check_nothing_is_made_again
from chaku.pipeline.inputs import Inputs
from chaku.pipeline.leave_out import ready, record
from chaku.pipeline.measuring import ask_about_shop, evaluate, write_samples
from chaku.pipeline.run_directory import Run, only_one
from chaku.pipeline.stage_model import StageWork
from chaku.pipeline.steps import walk
from chaku.pipeline.training import run_stage, train_stage
from chaku.pipeline.try_it import write_commands
from chaku.pipeline.unchecked import say_what_is_not_checked
from chaku.recipe.family import shop_stages
from chaku.recipe.schema import Recipe
from chaku.report import write_report
from chaku.sql.training.example_prompts import TRAINED_PROMPT
from chaku.sql.training.prepare import prepared_prompt


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
    On many ranks, rank 0 calls this, and the others `assist`; `directory` must be on storage that they share.

    Raises FinishedWork when finished work would be made again without `make_again`, and ChakuError for errors that the
    user can correct, both before anything is changed. Raises Interrupted after a signal.
    """
    if recipe.num_threads:
        torch.set_num_threads(recipe.num_threads)
    device = device or usual_device()
    whole = dataclasses.asdict(recipe)
    recipe, left_out = ready(recipe, directory, device, without_missing=without_missing)
    say_what_is_not_checked(recipe)
    run = Run(recipe, directory, device, make_again)
    with only_one(directory), explain_full_disk(directory), closing(run.engines):
        if not make_again:
            check_nothing_is_made_again(run)
        remove_partials(directory)
        write_json(directory / "recipe.json", whole)
        record(directory, left_out)
        fingerprints = walk(run, _Maker(run))
        evaluate(run, fingerprints)
        learnt = shop_stages(recipe)
        ask_about_shop(run, learnt, fingerprints)
        write_samples(run, run.tokenizer, {name: fingerprints[name] for name in recipe.evals.stages})
        write_commands(run, fingerprints, learnt)
        return write_report(directory)


def usual_device() -> torch.device:
    """The GPU, or the processor where there is none."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def assist(work: StageWork | SpeedWork | WriteWork, device: torch.device) -> None:
    """What every rank but the first does when rank 0 announces work."""
    if isinstance(work, WriteWork):
        help_to_write(work, device)
        return
    if work.recipe.num_threads:
        torch.set_num_threads(work.recipe.num_threads)
    if isinstance(work, SpeedWork):
        measure_speed(work, device)
    else:
        train_stage(work, device)


class _Maker:
    """Makes the steps of a run."""

    def __init__(self, run: Run):
        self.run = run
        self.step = run.step

    def stage(self, name: str, inputs: Inputs) -> str:
        """Train a stage; write the form of its prompts beside it if it learns SQL."""
        run, stage = self.run, self.run.recipe.stages[name]
        training = dataclasses.replace(stage.training, tokens=self._budgets[name], share=None, epochs=None)
        whole = dataclasses.replace(stage, training=training)
        fingerprint = run_stage(run, name, whole, self._base, run.tokenizer, inputs)
        chats = run.recipe.reply_sets(stage).values()
        files = [path for chosen in chats for path in find_files(source_of(chosen, run.directory))]
        if learnt := prepared_prompt(files):
            write_json(run.directory / "stages" / name / TRAINED_PROMPT, dataclasses.asdict(learnt))
        return fingerprint

    @cached_property
    def _base(self) -> LlamaConfig:
        return base_shape(self.run.recipe, self.run.tokenizer)

    @cached_property
    def _budgets(self) -> dict[str, int]:
        """The tokens of each stage, measured before the first stage, when the conversations are encoded."""
        return token_budgets(self.run, self._base, self.run.tokenizer)
