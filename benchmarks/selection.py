"""What each step from a question to its query is worth: value hints, repair, votes, a second look, tests on variants.

    CHAKU_BENCHMARKS=... python benchmarks/selection.py MODEL --questions spider --limit 60 --kept evals/selection

Every text of the model is kept in the folder --kept, so that all steps choose among the same samples, and a killed run
goes on; --minutes ends a run in time, with status 3 if it must go on. Each step is compared with the step named beside
it, in pairs, with a bootstrap interval. Seconds are processor seconds of this process to write the texts of one
question, counted when they were written, and seconds on the clock for everything else (the queries, the tests). The
shares of votes are written too: `python benchmarks/confidence.py evals/selection/vote-of-5` says how far they can be
trusted.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from chaku import api
from chaku.console import say, show_table
from chaku.files import write_json
from chaku.intervals import bootstrap_interval, wilson_interval
from chaku.jsonl import write_lines
from chaku.manifest import claim
from chaku.sql.ask.writer import writer_as_learnt
from chaku.sql.schema.definition import read_spider_tables
from chaku.sql.scoring.benchmark import choose
from chaku.sql.scoring.predict import Asking, Prediction, predict
from chaku.sql.scoring.question_files import QuestionFile, find_questions
from chaku.sql.scoring.score import QueryPair, ScoreSettings, score
from chaku.sql.training.example_prompts import ExamplePrompts, PromptSettings
from kept_samples import KeepingWriter

BATCH = 4  # questions written together: a killed run loses at most so many


@dataclass(frozen=True)
class Step:
    """One way to ask. `after`: the step that it is compared with. `link`: with hints about values."""

    name: str
    after: str | None
    link: bool
    asking: Asking


STEPS = (
    Step("greedy", None, False, Asking(1, batch_size=BATCH)),
    Step("value hints", "greedy", True, Asking(1, batch_size=BATCH)),
    Step("repair", "value hints", True, Asking(1, True, BATCH)),
    Step("repair of empty results", "repair", True, Asking(1, True, BATCH, repair_empty=True)),
    Step("vote of 5", "repair", True, Asking(5, True, BATCH)),
    Step("second look (CSC)", "vote of 5", True, Asking(5, True, BATCH, select="csc")),
    Step("tests on variants", "vote of 5", True, Asking(5, True, BATCH, select="tests")),
)


class OutOfTimeError(Exception):
    """The run must go on later."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model as for chaku sql eval")
    parser.add_argument("--questions", default="spider", help="questions as for chaku sql eval")
    parser.add_argument("--limit", type=int, help="a plain random sample of so many questions")
    parser.add_argument("--kept", type=Path, required=True, help="the folder of the kept texts and figures")
    parser.add_argument("--steps", nargs="+", choices=[step.name for step in STEPS], help="only these; default: all")
    parser.add_argument("--minutes", type=float, default=1e6, help="end after so many minutes; run again to go on")
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.minutes
    questions = find_questions(Path(options.questions))
    indices = choose(questions.askable()[0], options.limit, 0)
    writer = writer_as_learnt(api.load(options.model).generator, None)
    claim(options.kept / "model.json", dict(writer.generator.record))
    name = questions.path.parent.name
    try:
        with KeepingWriter(writer, options.kept / f"{name}.jsonl") as kept:
            steps = [step for step in STEPS if step.name in (options.steps or [step.name])]
            rows = measure(steps, questions, indices, kept, options.kept, deadline)
    except OutOfTimeError as stopped:
        say(f"{stopped}; run the same command again to go on")
        sys.exit(3)
    show_table(
        f"{questions.name}: {len(indices)} questions",
        ["step", "EX", "95% interval", "against", "gain", "95% interval", "model s", "other s"],
        [[row["step"], _percent(row["ex"]), _interval(row["interval_95"]), row["against"] or "-",
          "-" if row["gain"] is None else f"{row['gain']:+.1%}", _interval(row["gain_interval_95"]),
          f"{row['model_seconds']:.1f}", f"{row['other_seconds']:.1f}"] for row in rows],
    )  # fmt: skip
    write_json(options.kept / f"{name}.json", {"questions": questions.name, "number": len(indices), "steps": rows})


def measure(
    steps: Sequence[Step],
    questions: QuestionFile,
    indices: Sequence[int],
    writer: KeepingWriter,
    folder: Path,
    deadline: float,
) -> list[dict[str, Any]]:
    """The figures of every step; the shares of votes go into `folder`. Raises OutOfTimeError after the deadline."""
    told = read_spider_tables(questions.tables) if questions.tables else None
    forms = {link: PromptSettings(link=link, max_tokens=writer.max_prompt_tokens) for link in (False, True)}
    prompts = {
        link: ExamplePrompts(questions.databases, form, writer.count_tokens, told) for link, form in forms.items()
    }
    asked: dict[str, list[Prediction]] = {}
    rows = []
    for step in sorted(steps, key=lambda step: -step.asking.num_samples):  # greedy is the first of five samples
        writer.spent = writer.waited = 0.0
        made: list[Prediction] = []
        for batch in predict(questions.examples, indices, prompts[step.link], writer, questions.databases, step.asking):
            made += batch
            say(f"{step.name}: {len(made)} of {len(indices)} questions")
            if time.monotonic() > deadline:
                raise OutOfTimeError(f"stopped at {step.name} after {len(made)} of {len(indices)} questions")
        asked[step.name] = made
        rows.append(
            {
                "step": step.name,
                "model_seconds": writer.spent / len(indices),
                "other_seconds": (sum(prediction.seconds for prediction in made) - writer.waited) / len(indices),
            }
        )
    right = {name: _right(questions, indices, made) for name, made in asked.items()}
    for step in steps:
        if step.asking.num_samples > 1:
            verdicts = dict(zip(indices, right[step.name], strict=True))
            _write_shares(folder / step.name.replace(" ", "-"), asked[step.name], verdicts)
    return [_figures(step, right, next(row for row in rows if row["step"] == step.name)) for step in steps]


def _right(questions: QuestionFile, indices: Sequence[int], made: Sequence[Prediction]) -> list[bool]:
    predicted = {prediction.index: prediction.sql for prediction in made}
    pairs = [
        QueryPair(index, questions.examples[index].database, questions.examples[index].query, predicted[index])
        for index in indices
    ]
    settings = ScoreSettings(num_variants=0, ves_runs=0)
    scores = score(pairs, questions.databases, tables=questions.tables, settings=settings)
    return [bool(row["ex"]) for row in scores["rows"]]


def _write_shares(folder: Path, made: Sequence[Prediction], right: dict[int, bool]) -> None:
    """The files that benchmarks/confidence.py reads, as of `chaku sql eval --out`."""
    folder.mkdir(exist_ok=True)
    rows = ({"index": one.index, "share": one.share, "passed": right[one.index]} for one in made)
    write_lines(folder / "samples.jsonl", rows)


def _figures(step: Step, right: dict[str, list[bool]], seconds: dict[str, Any]) -> dict[str, Any]:
    now = right[step.name]
    before = right.get(step.after or "", [])
    gains = [float(after) - float(first) for first, after in zip(before, now, strict=False)]
    return {
        **seconds,
        "ex": fmean(now),
        "interval_95": wilson_interval(sum(now), len(now)),
        "against": step.after,
        "gain": fmean(gains) if gains else None,
        "gain_interval_95": bootstrap_interval(gains) if gains else None,
        "won": sum(gain > 0 for gain in gains),
        "lost": sum(gain < 0 for gain in gains),
    }


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _interval(interval: tuple[float, float] | None) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}" if interval else "-"


if __name__ == "__main__":
    main()
