"""Measures a model's execution accuracy: greedy queries for questions, scored by the official rule."""

from collections import defaultdict
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaku.console import progress
from chaku.errors import ChakuError
from chaku.jsonl import read_lines
from chaku.sql.ask.writer import ModelWriter
from chaku.sql.execute.runner import SQLiteRunner
from chaku.sql.schema.definition import database_file
from chaku.sql.scoring.datasets import read_examples
from chaku.sql.scoring.predict import Asking, predict
from chaku.sql.scoring.score import QueryPair, ScoreSettings, score
from chaku.sql.training.example_prompts import ExamplePrompts, PromptSettings

if TYPE_CHECKING:
    from chaku.inference.engine import Engine

MAX_TOKENS = 96  # of a reply; the longest query about the shop is shorter with the tokenizer of every demo recipe
SHOWN_ROWS = 5


def evaluate(
    engine: "Engine",
    questions: Path,
    databases: Path,
    *,
    settings: PromptSettings,
    limit: int | None = None,
    num_shown: int = 3,
    max_tokens: int = MAX_TOKENS,
    instructed: bool = False,
) -> dict[str, Any]:
    """The result of `score`, EX for each kind of unseen question (if rows name a kind), and samples with their rows.

    The samples are the first `num_shown` right answers and the first `num_shown` wrong answers. A sample with "right",
    but not "on_variants", was right on the database by luck.

    With a chat template, the prompt is a user's message; otherwise the model continues the prompt. No grammar is used,
    to measure the model alone. `instructed`: put instructions before the prompt, for a chat model that was not trained
    on these prompts. A prompt fits both `settings.max_tokens` and the context without the reply's `max_tokens`.
    `limit`: ask only this number of questions. Raises ChakuError when a prompt does not fit.
    """
    writer = ModelWriter(
        engine, max_prompt_tokens=settings.max_tokens, constrained=False, instructed=instructed, max_tokens=max_tokens
    )
    examples = read_examples(questions)[:limit]
    fitting = replace(settings, max_tokens=writer.max_prompt_tokens)
    prompts = ExamplePrompts(databases, fitting, writer.count_tokens)
    asking = Asking(batch_size=engine.batch_size)
    predicted: dict[int, str] = {}
    with progress("SQL", len(examples), "questions") as bar:
        for made in predict(examples, range(len(examples)), prompts, writer, databases, asking):
            if problem := next((prediction.problem for prediction in made if prediction.problem), ""):
                raise ChakuError(problem)
            predicted |= {prediction.index: prediction.sql for prediction in made}
            bar.advance(len(made))
    asked = [
        QueryPair(index, example.database, example.query, predicted[index]) for index, example in enumerate(examples)
    ]
    scores = score(asked, databases, settings=ScoreSettings(ves_runs=0))
    return {
        **scores,
        "prompt": asdict(fitting),
        "by_unseen": _by_unseen(questions, scores["rows"]),
        "samples": _samples(
            _shown(asked, scores["rows"], num_shown),
            [example.question for example in examples],
            scores["rows"],
            databases,
        ),
    }


def _by_unseen(path: Path, rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """EX of the shop's questions by the part that training never had: the query's structure, or the wording."""
    if path.suffix != ".jsonl":
        return {}
    found: dict[str, list[bool]] = defaultdict(list)
    for (_, line), row in zip(read_lines(path), rows, strict=False):
        if line.get("unseen") and row["ex"] is not None:
            found[line["unseen"]].append(row["ex"])
    return {name: {"count": len(right), "ex": sum(right) / len(right)} for name, right in sorted(found.items())}


def _shown(asked: list[QueryPair], rows: list[dict[str, Any]], number: int) -> list[QueryPair]:
    parts = [[example for example in asked if bool(rows[example.index]["ex"]) is right] for right in (True, False)]
    return [example for part in parts for example in part[:number]]


def _samples(
    asked: list[QueryPair], questions: list[str], rows: list[dict[str, Any]], databases: Path
) -> list[dict[str, Any]]:
    samples = []
    with SQLiteRunner() as runner:
        for example in asked:
            sql = example.predicted
            result = runner.run(database_file(databases, example.database), sql, max_rows=SHOWN_ROWS) if sql else None
            samples.append(
                {
                    "question": questions[example.index],
                    "gold": example.gold,
                    "sql": sql,
                    "right": rows[example.index]["ex"],
                    "on_variants": rows[example.index]["test_suite"],
                    "reason": rows[example.index]["reason"],
                    "columns": list(result.columns) if result else [],
                    "rows": [[str(cell) for cell in row] for row in result.rows] if result else [],
                }
            )
    return samples
