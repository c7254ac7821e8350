"""The number of tokens of each stage, from the recipe, or from its time budget and the training speed measured here."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from chaku.console import say, short
from chaku.files import read_json, write_json
from chaku.launcher import num_ranks
from chaku.model.config import LlamaConfig
from chaku.pipeline.chat_sets import epoch_tokens, given_sets
from chaku.pipeline.run_directory import Run
from chaku.pipeline.training import begun_tokens, make_dataset
from chaku.recipe.family import stage_seed, stage_shape
from chaku.recipe.schema import Recipe, StageConfig
from chaku.tokens.loader import load_batches
from chaku.tokens.tokenizer import Tokenizer
from chaku.training.ranks import announce, lay_out
from chaku.training.schedule import batch_rows
from chaku.training.speed import measure_training_speed, random_batches
from chaku.training.workload import Workload

SPEED_MARGIN = 0.85  # of the measured speed; logging, held-out loss and saving take the rest of the time


def token_budgets(run: Run, base: LlamaConfig, tokenizer: Tokenizer) -> dict[str, int]:
    """The tokens of each stage: the recipe's number, or the stage's share of the time budget at the measured speed.

    A stage that has begun keeps its number of tokens while its share and the minutes stay the same.
    """
    recipe = run.recipe
    budgets = {
        name: stage.training.tokens for name, stage in recipe.stages.items() if stage.training.tokens is not None
    }
    budgets |= {
        name: epoch_tokens(recipe, stage, run.directory)
        for name, stage in recipe.stages.items()
        if stage.training.epochs is not None
    }
    shared = {name: stage for name, stage in recipe.stages.items() if stage.training.share is not None}
    if recipe.budget is not None and shared:
        begun = {name: tokens for name in shared if (tokens := _begun(run, name)) is not None}
        record = run.directory / "budget.json"
        wanted = {
            "minutes": recipe.budget.minutes,
            "shares": {name: stage.training.share for name, stage in shared.items()},
            "shape": dataclasses.asdict(base),
        } | ({"ranks": num_ranks()} if num_ranks() > 1 else {})
        measured = read_json(record) if record.exists() else None
        if (measured is None or measured["wanted"] != wanted) and len(begun) < len(shared):
            measured = {"wanted": wanted, **_measure_budget(run, base, tokenizer, shared)}
            write_json(record, measured)
        for name, speed in (measured or {"speeds": {}})["speeds"].items():
            if name not in begun and measured:
                budgets[name] = measured["tokens_by_stage"][name]
                say(f"budget: {name} gets {short(budgets[name])} tokens (measured {short(speed)} tokens/s)")
        minutes = recipe.budget.minutes
        say(f"budget: {minutes:g} minutes of training (--set budget.minutes=N changes it)")
        budgets |= begun
    return {name: budgets[name] for name in recipe.stages}


def _begun(run: Run, name: str) -> int | None:
    """The tokens of a stage that began with the recipe's present share and minutes; None for any other stage."""
    recipe, path = run.recipe, run.directory / "stages" / name
    record = run.record(f"stages/{name}")
    assert recipe.budget is not None
    if record is None or record.get("minutes") != recipe.budget.minutes:
        return None
    same = record["stage"]["training"]["share"] == recipe.stages[name].training.share
    return begun_tokens(path) if same else None


def _measure_budget(
    run: Run, base: LlamaConfig, tokenizer: Tokenizer, shared: dict[str, StageConfig]
) -> dict[str, Any]:
    assert run.recipe.budget is not None
    minutes = run.recipe.budget.minutes
    speeds: dict[str, float] = {}
    by_form: dict[Any, float] = {}
    for name, stage in shared.items():
        conversations = _ready_conversations(run.recipe, stage)
        sizes = (stage.sequence_length, stage.training.batch_tokens, stage.training.micro_batch_tokens, stage.parallel)
        form = (*sizes, stage.lora, *conversations)
        if form not in by_form:
            work = SpeedWork(run.recipe, run.directory, name, base, tokenizer, on_random_tokens=not conversations)
            announce(work)
            by_form[form] = measure_speed(work, run.device)
        speeds[name] = by_form[form]
    total = sum(stage.training.share or 0 for stage in shared.values())
    tokens = {
        name: int((stage.training.share or 0) / total * minutes * 60 * speeds[name] * SPEED_MARGIN)
        for name, stage in shared.items()
    }
    return {
        "minutes": minutes,
        "speeds": speeds,
        "tokens_by_stage": tokens,
        "tokens_per_second": sum(speeds.values()) / len(speeds),
        "tokens": sum(tokens.values()),
    }


@dataclass(frozen=True)
class SpeedWork:
    """What a rank needs to know to measure the speed of a stage together with the others.

    The speed depends on the share of tokens with a loss, so conversations are measured on the real data.
    """

    recipe: Recipe
    directory: Path
    name: str
    base: LlamaConfig
    tokenizer: Tokenizer
    on_random_tokens: bool


def measure_speed(work: SpeedWork, device: torch.device) -> float:
    """Tokens per second of a stage, on all ranks together."""
    recipe, stage = work.recipe, work.recipe.stages[work.name]
    ranks = lay_out(stage.parallel, device.type)
    shape = stage_shape(recipe, work.name, work.base)
    rows = batch_rows(stage.training, stage.sequence_length)
    if work.on_random_tokens:
        batches = random_batches(shape.vocab_size, rows // ranks.num_data, stage.sequence_length)
    else:
        dataset = make_dataset(recipe, work.directory, work.tokenizer, stage, stage_seed(recipe, work.name), ranks)
        batches = load_batches(dataset, start=0, batch_size=rows, rank=ranks.data_rank, world_size=ranks.num_data)
    workload = Workload(shape, stage.training, stage.sequence_length, stage.lora)
    return measure_training_speed(workload, batches, device, ranks)


def _ready_conversations(recipe: Recipe, stage: StageConfig) -> list[str]:
    """The stage's sets of conversations; empty if it has other sets too, or if the run has yet to make some set."""
    names = list(recipe.reply_sets(stage))
    ready = stage.dpo is None and len(names) == len(stage.mixture) and {*names} <= {*given_sets(recipe)}
    return names if ready else []
