"""Self-instruct's speed: triples a minute of the demo's loop, and the share of time that models and programs take.

    chaku run recipes/demo-instruct.toml
    python benchmarks/synthesize.py runs/demo-instruct/stages/base --out synthesize.json

The same questions and settings as the demo's, into a new ledger each time. "both" is the time in which the model wrote
while programs ran; what is neither is waiting and bookkeeping.
"""

import argparse
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from chaku.console import show_table
from chaku.files import write_json
from chaku.inference.engine import Engine
from chaku.inference.load import load_engine
from chaku.instruct.evidence import KEPT
from chaku.instruct.questions import Question
from chaku.instruct.rehearsal import MAX_TOKENS, NUM_TESTS, PROMPTS
from chaku.instruct.suites import Suite
from chaku.instruct.synthesize import Bounds, synthesize
from chaku.instruct.triples import Settings
from chaku.synthetic.exercises import FINE_TUNING_FRAMES, exercises


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="the base stage of a demo-instruct or rehearsal-instruct run")
    parser.add_argument("--questions", type=int, default=240)
    parser.add_argument("--solutions", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="of torch (default: its choice)")
    parser.add_argument("--mutants", action="store_true", help="with the check of mutants, which the demo leaves out")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    generator = load_engine(options.model)
    made = exercises("questions", 1, held_out=False, num_tests=NUM_TESTS, frames=FINE_TUNING_FRAMES)
    questions = [
        Question(question.question, "made", Suite("f", question.tests)) for question in islice(made, options.questions)
    ]
    settings = Settings(PROMPTS, options.solutions, 0.8, 1.0, MAX_TOKENS, check_mutants=options.mutants)
    rows = [measure(generator, settings, questions) for _ in range(options.rounds)]
    show_table(
        "self-instruct",
        ["", "kept", "triples/min", "programs/s", "tokens/s", "generating", "executing", "both", "neither"],
        [
            [
                f"round {number}",
                row["kept"],
                f"{row['triples_per_minute']:.0f}",
                f"{row['programs'] / row['seconds']:.0f}",
                f"{row['tokens'] / row['seconds']:.0f}",
                *(f"{row[name]:.0%}" for name in ("generating", "executing", "both", "neither")),
            ]
            for number, row in enumerate(rows, 1)
        ],
    )
    if options.out:
        write_json(options.out, rows)


def measure(generator: Engine, settings: Settings, questions: list[Question]) -> dict[str, Any]:
    """One synthesis from nothing."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        summary = synthesize(
            Path(folder) / "ledger.sqlite",
            generator,
            settings,
            Bounds(len(questions), timeout=2.0),
            questions=questions,
            near_duplicates=1.0,
        )
        seconds = time.perf_counter() - started
    times = summary.times
    return {
        "seconds": seconds,
        "kept": summary.funnel[KEPT],
        "triples_per_minute": 60 * summary.funnel[KEPT] / seconds,
        "programs": summary.run,
        "tokens": summary.num_tokens,
        "generating": times.generating / seconds,
        "executing": times.executing / seconds,
        "both": times.both / seconds,
        "neither": 1 - (times.generating + times.executing - times.both) / seconds,
    }


if __name__ == "__main__":
    main()
