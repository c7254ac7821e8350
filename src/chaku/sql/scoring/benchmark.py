"""Runs a model on published questions, saves its predictions, and scores them by the official rule with intervals."""

import random
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chaku.console import progress, say
from chaku.errors import ChakuError
from chaku.files import sha256_file
from chaku.intervals import wilson_interval
from chaku.journal import Journal
from chaku.jsonl import write_lines
from chaku.manifest import claim, versions
from chaku.results import SampledResult
from chaku.sql.ask.settings import Select
from chaku.sql.ask.writer import TEMPERATURE, ModelWriter
from chaku.sql.schema.definition import read_spider_tables
from chaku.sql.scoring.exact_match import LEVELS
from chaku.sql.scoring.predict import Asking, Prediction, predict
from chaku.sql.scoring.question_files import QuestionFile
from chaku.sql.scoring.score import QueryPair, ScoreSettings, score
from chaku.sql.training.example_prompts import ExamplePrompts, PromptSettings

MEASURES = ("ex", "ex_keep_distinct", "test_suite", "em", "bird_ex")
SAID = {"ex": "EX", "ex_keep_distinct": "EX, DISTINCT kept", "test_suite": "test suite", "em": "exact match",
        "bird_ex": "BIRD's EX"}  # fmt: skip
SELECTED: dict[Select, str] = {"vote": "a vote", "csc": "a vote with a second look", "tests": "a vote of tested groups"}


@dataclass(frozen=True)
class Scores:
    """The shares of right questions by each measure; None: not measured. `interval_95`: Wilson's, of `ex`."""

    ex: float | None
    ex_keep_distinct: float | None
    test_suite: float | None
    em: float | None
    bird_ex: float | None
    scored: int
    interval_95: tuple[float, float] | None


@dataclass(frozen=True)
class LevelScores(Scores):
    """The scores of the questions of one level of hardness."""

    count: int


@dataclass(frozen=True)
class SqlResult(Scores, SampledResult):
    """The content of results.json. `questions`: the file. `by_hardness`: also of "all" levels."""

    questions: str
    by_hardness: dict[str, LevelScores]
    counts: dict[str, int]
    seconds_a_question: float


def run_benchmark(
    questions: QuestionFile,
    writer: ModelWriter,
    *,
    prompt: PromptSettings,
    asking: Asking,
    limit: int | None = None,
    seed: int = 0,
    num_variants: int = 0,
    out: Path | None = None,
) -> SqlResult:
    """Ask a model the questions, score its queries, and write the result as results.json into `out`.

    `limit`: score a random sample of this number of questions, which depends only on `seed`. predictions.jsonl in `out`
    receives predictions as they come, so that a killed run continues with the missing questions. samples.jsonl has a
    line for each question, for `chaku eval compare`. Without `out`, nothing is saved. `num_variants`: the number of
    variants of each database for test-suite EX; 0 leaves it out. Raises ChakuError when `out` has predictions that were
    made with other settings.
    """
    askable, missing = questions.askable()
    if missing:
        without = len(questions.examples) - len(askable)
        say(f"{without} questions are left out, since their databases are missing: {', '.join(missing)}")
    indices = choose(askable, limit, seed)
    prompt = PromptSettings(**{**asdict(prompt), "max_tokens": min(prompt.max_tokens, writer.max_prompt_tokens)})
    record = {
        **versions(),
        **writer.generator.record,
        "grammar": writer.constrained,
        "max_tokens": writer.max_tokens,
        "prompt_form": _prompt_form(prompt, writer),
        "prompt": asdict(prompt),
        "max_prompt_tokens": prompt.max_tokens,
        "num_samples": asking.num_samples,
        "temperature": TEMPERATURE if asking.num_samples > 1 else 0.0,
        "repair": asking.repair,
        "select": asking.select,
        "query_timeout": asking.timeout,
        "seed": seed,
        "limit": limit,
        "num_questions": len(indices),
        "data_sha256": questions.sha256,
        "tables_sha256": sha256_file(questions.tables) if questions.tables else None,
    }
    with nullcontext(out) if out else TemporaryDirectory(prefix="chaku-sql-eval-") as kept:
        folder = Path(kept)
        claim(folder / "predictions.json", record)
        predictions = _predictions(questions, indices, writer, prompt, asking, folder / "predictions.jsonl")
        result, rows = _scores(questions, predictions, num_variants, seed, record)
        write_lines(folder / "samples.jsonl", rows)
        result.write(folder / "results.json")
    return result


def choose(indices: Sequence[int], limit: int | None, seed: int) -> list[int]:
    """The indices of the questions to ask, in order. Raises ChakuError for a limit below 1."""
    if limit is not None and limit < 1:
        raise ChakuError(f"--limit is {limit}; it must be at least 1")
    return list(indices) if limit is None else sorted(random.Random(seed).sample(indices, min(limit, len(indices))))


def _prompt_form(prompt: PromptSettings, writer: ModelWriter) -> str:
    return ", ".join(
        [prompt.form, *(["linked"] if prompt.link else []), *(["instructed"] if writer.instructions else [])]
    )


def _predictions(
    questions: QuestionFile,
    indices: Sequence[int],
    writer: ModelWriter,
    prompt: PromptSettings,
    asking: Asking,
    path: Path,
) -> list[Prediction]:
    """The predictions in the questions' order. Reads the predictions in `path`, and makes the missing ones."""
    told = read_spider_tables(questions.tables) if questions.tables else None
    prompts = ExamplePrompts(questions.databases, prompt, writer.count_tokens, told)
    with Journal(path) as journal:
        made = {row["index"]: Prediction(**row) for row in journal.rows}
        missing = [index for index in indices if index not in made]
        done = len(indices) - len(missing)
        with progress(f"{questions.name}: SQL", len(indices), "questions", initial=done) as bar:
            for batch in predict(questions.examples, missing, prompts, writer, questions.databases, asking):
                journal.append(asdict(prediction) for prediction in batch)
                made |= {prediction.index: prediction for prediction in batch}
                bar.advance(len(batch))
    return [made[index] for index in indices]


def _scores(
    questions: QuestionFile, predictions: Sequence[Prediction], num_variants: int, seed: int, manifest: dict[str, Any]
) -> tuple[SqlResult, list[dict[str, Any]]]:
    """The result, and the rows of samples.jsonl."""
    asked = [
        QueryPair(prediction.index, example.database, example.query, prediction.sql)
        for prediction in predictions
        for example in [questions.examples[prediction.index]]
    ]
    settings = ScoreSettings(num_variants=num_variants, ves_runs=0, seed=seed)
    scores = score(asked, questions.databases, tables=questions.tables, settings=settings)
    verdicts = scores["rows"]
    levels = {
        level: LevelScores(**{name: row[name] for name in ("count", *MEASURES)}, **_interval(verdicts, level))
        for level, row in scores["by_hardness"].items()
    }
    not_asked = [prediction.problem for prediction in predictions if prediction.problem]
    if not_asked:
        say(f"{len(not_asked)} questions were not asked; the reason of the first: {not_asked[0]}")
    result = SqlResult(
        benchmark=questions.name,
        questions=str(questions.path),
        manifest={**manifest, "scoring": scores["manifest"]},
        **{name: scores[name] for name in MEASURES},
        **_interval(verdicts, "all"),
        pass_at_k={1: scores["ex"]},
        by_hardness=levels,
        counts={
            **scores["counts"],
            "no_database": len(questions.examples) - len(questions.askable()[0]),
            "not_asked": len(not_asked),
            "asked_again": sum(prediction.asked_again for prediction in predictions),
        },
        seconds_a_question=sum(prediction.seconds for prediction in predictions) / len(predictions),
    )
    rows = zip(predictions, verdicts, strict=True)
    return result, [_row(questions, prediction, verdict) for prediction, verdict in rows if verdict["ex"] is not None]


def _interval(verdicts: Sequence[Mapping[str, Any]], level: str) -> dict[str, Any]:
    """Wilson's 95% interval of EX, and the number of scored questions."""
    right = [row["ex"] for row in verdicts if row["ex"] is not None and level in ("all", row["hardness"])]
    return {"scored": len(right), "interval_95": wilson_interval(sum(right), len(right)) if right else None}


def _row(questions: QuestionFile, prediction: Prediction, verdict: Mapping[str, Any]) -> dict[str, Any]:
    """A row of samples.jsonl. `chaku eval compare` reads task_id, passed and measures; people read the rest."""
    example = questions.examples[prediction.index]
    return {
        "task_id": f"{example.database}/{prediction.index}",
        "passed": verdict["ex"],
        "measures": {name: float(verdict[name]) for name in MEASURES[1:] if verdict[name] is not None},
        "question": example.question,
        "gold": example.query,
        "sql": prediction.sql,
        "reply": prediction.reply,
        "hardness": verdict["hardness"],
        "reason": verdict["reason"],
        "share": prediction.share,
    }


def result_in_lines(result: SqlResult) -> list[str]:
    """The settings in one line, the table of scores by hardness, and the counts, for a terminal."""
    about, counts = result.manifest, result.counts
    limit = (
        f"a random sample of {counts['questions']} questions" if about["limit"] else f"{counts['questions']} questions"
    )
    how = [f"prompts: {about['prompt_form']}", "under the grammar" if about["grammar"] else "without grammar"]
    how += [f"{about['num_samples']} samples and {SELECTED[about['select']]}" if about["num_samples"] > 1 else "greedy"]
    how += ["repaired"] if about["repair"] else []
    shown = [name for name in MEASURES if getattr(result, name) is not None]
    lines = [f"{result.benchmark}, {limit} ({', '.join(how)}): {result.seconds_a_question:.2f} s a question"]
    lines.append(
        f"{'':10}{'scored':>8}{'EX':>8}{'95% interval':>20}" + "".join(f"{SAID[name]:>20}" for name in shown[1:])
    )
    for level in (*LEVELS, "all"):
        row = result.by_hardness[level]
        if row.interval_95 is None:
            continue
        low, high = row.interval_95
        interval = f"{low:.1%} to {high:.1%}"
        shares = (getattr(row, name) for name in shown[1:])
        others = "".join("-".rjust(20) if share is None else f"{share:>20.1%}" for share in shares)
        lines.append(f"{level:10}{row.scored:>8}{row.ex:>8.1%}{interval:>20}{others}")
    shown_counts = {"failed": "failed to run", "empty_against_empty": "right with no rows", "not_scored": "not scored",
                    "not_asked": "not asked", "asked_again": "asked again",
                    "no_database": "left out, since their databases are missing"}  # fmt: skip
    lines.append(", ".join(f"{words}: {counts[name]}" for name, words in shown_counts.items() if counts[name]))
    return [line for line in lines if line]
