"""Finds commands that the reader of a finished run can copy. The run tried each command, and its answer was right."""

import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from chaku.console import say
from chaku.errors import ChakuError
from chaku.files import read_json, sha256_json, write_json
from chaku.inference.engine import Engine
from chaku.inference.generator import SamplingParams
from chaku.inference.prompts import complete
from chaku.pipeline.measuring import checkpoint, stage_engine
from chaku.pipeline.run_directory import Run
from chaku.recipe.schema import BASE_MODEL
from chaku.results import MeasureResult
from chaku.sql.scoring.datasets import Example, read_examples

FILE = "commands.json"
NUM_QUESTIONS = 2  # about the shop's database
# (prompt, the beginning of a right completion)
COMPLETIONS = (
    ("def is_even(number):\n    return", "number % 2 == 0"),
    ("def add(a, b):\n    return", "a + b"),
    ("SELECT name FROM customer WHERE country = 'Peru' ORDER BY", "name"),
)
COMPLETION_TOKENS = 8


@dataclass(frozen=True)
class Command:
    """`command`: a line for a shell. `about`: its purpose, and that its answer was right here."""

    command: str
    about: str


def write_commands(run: Run, fingerprints: dict[str, str], learnt: Sequence[str]) -> list[Command]:
    """Find commands with right answers, write them into the run's commands.json, and return them.

    `learnt`: the stages that trained on questions about the shop.
    """
    path, inputs = run.directory / FILE, sha256_json(fingerprints)
    if not path.exists() or read_json(path)["inputs"] != inputs:
        found = [asdict(command) for command in (*_completions(run), *_questions(run, learnt))]
        write_json(path, {"inputs": inputs, "commands": found})
    return read_commands(run.directory)


def read_commands(directory: Path) -> list[Command]:
    """The commands of a run; empty for a run without commands.json."""
    path = directory / FILE
    return [Command(**row) for row in read_json(path)["commands"]] if path.exists() else []


def _program() -> str:
    """The first word of the command that started chaku: a path below the working directory, or "chaku"."""
    path = Path(sys.argv[0])
    if path.name == "chaku" and path.is_file() and path.absolute().is_relative_to(Path.cwd()):
        return os.path.relpath(path)
    return "chaku"


def _completions(run: Run) -> Iterator[Command]:
    if BASE_MODEL not in run.recipe.evals.stages:
        return
    engine = stage_engine(run, BASE_MODEL)
    params = SamplingParams(max_tokens=COMPLETION_TOKENS)
    for prompt, right in COMPLETIONS:
        [[completion]] = engine.generate([complete(engine.tokenizer, prompt)], params)
        if completion.text.strip().startswith(right):
            words = [_program(), "complete", checkpoint(run, BASE_MODEL), prompt, "--max-tokens", COMPLETION_TOKENS]
            yield Command(shlex.join(map(str, words)), f"The base model continues with: {right}")
            return


def _questions(run: Run, learnt: Sequence[str]) -> Iterator[Command]:
    """Commands with questions about the shop that the last stage answers with the right rows."""
    if not learnt:
        return
    name, shop = learnt[-1], run.directory / "shop"
    rows = MeasureResult.read(run.directory / "evals" / name / "shop.json").results["rows"]
    examples = read_examples(shop / "dev.jsonl")
    right = [examples[row["index"]] for row in rows if row["ex"] and row["test_suite"] is not False]  # not by luck
    if not right:
        return
    database = shop / "shop" / "shop.sqlite"
    try:
        found = list(islice(_answered_rightly(stage_engine(run, name), run, name, database, right), NUM_QUESTIONS))
    except ChakuError as error:  # the run is whole without these commands
        say(f"no questions to try: {error}")
        return
    for question in found:
        words = [_program(), "sql", "ask", "--model", checkpoint(run, name), "--db", str(database), question]
        yield Command(shlex.join(words), "The fine-tuned model answers a new question; here its answer was right")


def _answered_rightly(engine: Engine, run: Run, name: str, database: Path, examples: list[Example]) -> Iterator[str]:
    from chaku.sql.ask.asker import Asker
    from chaku.sql.ask.writer import writer_as_learnt
    from chaku.sql.execute.database import Database
    from chaku.sql.scoring.execution_match import order_matters, same_result
    from chaku.sql.training.example_prompts import trained_prompt

    trained = trained_prompt(run.directory / "stages" / name)
    with Database(str(database)) as opened:
        asker = Asker(opened, writer_as_learnt(engine, trained))
        seen = set()
        for example in examples:
            form = re.sub(r"\d+", "#", example.question)
            if form in seen:  # another number in the same question shows nothing new
                continue
            answer = asker.ask(example.question)
            if not answer.refusal and same_result(
                asker.run(example.query).rows, answer.result.rows, ordered=order_matters(example.query)
            ):
                seen.add(form)
                yield example.question
