"""Runs a recipe: `run_recipe` runs every step; `run_directory` makes steps safe to kill and repeat."""

from chaku.pipeline.run import run_recipe
from chaku.pipeline.run_directory import FinishedWork, only_one

__all__ = ["FinishedWork", "only_one", "run_recipe"]
