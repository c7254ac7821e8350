"""Each stage's tokens, from the recipe or from the time that it gives and the speed measured here."""

import dataclasses
from typing import Any

from chaku.console import say, short
from chaku.files import read_json, write_json
from chaku.model import LlamaConfig
from chaku.pipeline.chat_sets import epoch_tokens
from chaku.pipeline.steps import Run
from chaku.recipe import Stage, stage_shape
from chaku.training.speed import measure_training_speed

SPEED_MARGIN = 0.85  # of the measured speed goes into the budget: logging, held-out loss and saving take the rest


def token_budgets(run: Run, base: LlamaConfig) -> dict[str, int]:
    """Each stage's tokens: as the recipe says, or its share of the time budget at the speed measured here, once."""
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
        record = run.directory / "budget.json"
        wanted = {
            "minutes": recipe.budget.minutes,
            "shares": {name: stage.training.share for name, stage in shared.items()},
            "shape": dataclasses.asdict(base),
        }
        if not record.exists() or read_json(record)["wanted"] != wanted:
            write_json(record, {"wanted": wanted, **_measure_budget(run, base, shared, recipe.budget.minutes)})
        measured = read_json(record)
        for name, speed in measured["speeds"].items():
            stage_tokens = measured["tokens_by_stage"][name]
            say(f"budget: {name} gets {short(stage_tokens)} tokens (measured {short(speed)} tokens/s)")
        minutes = recipe.budget.minutes
        say(f"budget: {minutes:g} minutes of training (--set budget.minutes=N changes it)")
        budgets.update(measured["tokens_by_stage"])
    return {name: budgets[name] for name in recipe.stages}


def _measure_budget(run: Run, base: LlamaConfig, shared: dict[str, Stage], minutes: float) -> dict[str, Any]:
    speeds: dict[str, float] = {}
    by_form: dict[tuple[int, int], float] = {}
    for name, stage in shared.items():
        form = (stage.sequence_length, stage.training.micro_batch_tokens)
        if form not in by_form:
            shape = stage_shape(run.recipe, name, base)
            by_form[form] = measure_training_speed(shape, stage.training, stage.sequence_length, run.device)
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
