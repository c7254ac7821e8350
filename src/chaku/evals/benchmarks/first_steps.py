"""First steps: chaku's own 24 functions of one or two lines, in HumanEval's form.

They come with chaku, so every machine can run a model's code. A small model may often have seen the easiest functions.
"""

from dataclasses import replace
from pathlib import Path

from chaku.evals.benchmark import Task
from chaku.evals.benchmarks import humaneval

FILE = Path(__file__).with_name("first_steps.jsonl")


def load(path: Path | None = None) -> list[Task]:
    """The problems, easiest first."""
    return humaneval.load("", "", path or FILE)


FIRST_STEPS = replace(humaneval.HUMANEVAL, name="first_steps", load=load)
