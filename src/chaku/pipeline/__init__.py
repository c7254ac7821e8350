"""Runs a recipe: `run_recipe` is the whole of it, `steps` what makes it safe to kill."""

from chaku.pipeline.run import run_recipe
from chaku.pipeline.run_directory import FinishedWork, only_one

__all__ = ["FinishedWork", "only_one", "run_recipe"]
