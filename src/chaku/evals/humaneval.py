"""HumanEval: 164 Python functions to complete from their docstrings (Chen et al. 2021, arXiv 2107.03374).

The paper's form: zero-shot, the prompt unstripped, greedy for pass@1, 3 s a program.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.evals.problems import GREEDY, Problem, evaluate_problems, read_problems
from chaku.inference.engine import Engine
from chaku.inference.sampling import SamplingParams

FILE = Path("humaneval") / "HumanEval.jsonl.gz"
URL = "https://github.com/openai/human-eval/raw/master/data/HumanEval.jsonl.gz"
PROMPT_FORM = "zero-shot, unstripped"


def find_humaneval(path: Path | None = None) -> Path:
    """The given file, or humaneval/HumanEval.jsonl.gz under $CHAKU_BENCHMARKS. Raises ChakuError when there is none."""
    if path is not None:
        return path
    folder = os.environ.get("CHAKU_BENCHMARKS")
    if not folder:
        raise ChakuError(f"CHAKU_BENCHMARKS is not set; save {URL} as SOMEWHERE/{FILE} and set it to SOMEWHERE")
    found = Path(folder) / FILE
    if not found.is_file():
        raise ChakuError(f"{found} does not exist; save {URL} there, or set CHAKU_BENCHMARKS to where it is")
    return found


def load_humaneval(path: Path | None = None) -> list[Problem]:
    """The problems, in the file's order."""
    return read_problems(find_humaneval(path))


def evaluate(
    engine: Engine,
    path: Path | None = None,
    *,
    params: SamplingParams = GREEDY,
    ks: Sequence[int] = (1,),
    num_problems: int | None = None,
    num_workers: int | None = None,
) -> dict[str, Any]:
    """Score a model; see `evaluate_problems`. `num_problems` takes the first ones only."""
    return evaluate_problems(engine, load_humaneval(path)[:num_problems], params, ks=ks, num_workers=num_workers)
