"""First steps: 24 functions of one or two lines, ours, in HumanEval's form.

They come with chaku, so that a model's code is run on every machine, and the easiest ask no more than a small model may
have seen often.
"""

from pathlib import Path
from typing import Any

from chaku.evals.problems import GREEDY, Problem, evaluate_problems, read_problems
from chaku.inference.engine import Engine
from chaku.inference.sampling import SamplingParams

PROMPT_FORM = "zero-shot, unstripped"


def load_first_steps() -> list[Problem]:
    """The problems, easiest first."""
    return read_problems(Path(__file__).with_name("first_steps.jsonl"))


def evaluate(engine: Engine, *, params: SamplingParams = GREEDY, num_workers: int | None = None) -> dict[str, Any]:
    """Score a model; see `evaluate_problems`."""
    return evaluate_problems(engine, load_first_steps(), params, num_workers=num_workers)
