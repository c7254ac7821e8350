"""Predicts queries for published questions: in batches, sorted by database, with an optional vote and repair."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chaku.errors import ChakuError
from chaku.sql.ask.candidates import Candidate, trouble_with, try_texts
from chaku.sql.ask.replies import extract_sql
from chaku.sql.ask.selection import SECOND_LOOKS, Choice, by_tests, by_votes, check_choice, two_results
from chaku.sql.ask.settings import Select
from chaku.sql.ask.writer import Asked, Writer
from chaku.sql.execute.runner import TIMEOUT, Result, SQLiteRunner
from chaku.sql.schema.definition import database_file
from chaku.sql.scoring.datasets import Example
from chaku.sql.training.example_prompts import ExamplePrompts

BATCH_SIZE = 16  # questions


@dataclass(frozen=True)
class Asking:
    """How questions are asked. A single sample is greedy, and needs no vote.

    `repair`: correct misspelt names, and if no query of a question ran, ask once more with the error in the prompt.
    `repair_empty`: ask once more too if every query that ran gives nothing. `select`: how one of several results is
    chosen. `timeout`: seconds of a query for the choice or the repair. Raises ChakuError for a number below 1, and for
    a choice among the results of one sample.
    """

    num_samples: int = 1
    repair: bool = False
    batch_size: int = BATCH_SIZE
    timeout: float = TIMEOUT
    select: Select = "vote"
    repair_empty: bool = False

    def __post_init__(self) -> None:
        for name in ("num_samples", "batch_size"):
            if getattr(self, name) < 1:
                raise ChakuError(f"{name} is {getattr(self, name)}; it must be at least 1")
        check_choice(self.select, None, self.num_samples, "sqlite")


@dataclass(frozen=True)
class Prediction:
    """The predicted query (`sql`) of the question with this `index` among the examples.

    `reply`: the text of the first sample. `share`: the share of samples with the result that won the vote. `problem`:
    why the question could not be asked. `seconds`: the time to write the batch, divided by its questions.
    """

    index: int
    sql: str
    reply: str = ""
    share: float = 1.0
    asked_again: bool = False
    problem: str = ""
    seconds: float = 0.0


def predict(
    examples: Sequence[Example],
    indices: Sequence[int],
    prompts: ExamplePrompts,
    writer: Writer,
    databases: Path,
    asking: Asking,
) -> Iterator[list[Prediction]]:
    """The predictions for the examples at `indices`, a batch at a time.

    Batches are sorted by database, so that the schema, values and grammar of a database are made once.
    """
    ordered = sorted(indices, key=lambda index: (examples[index].database, index))
    with SQLiteRunner() as runner:
        for start in range(0, len(ordered), asking.batch_size):
            batch = {index: examples[index] for index in ordered[start : start + asking.batch_size]}
            yield _Batch(batch, prompts, writer, runner, databases, asking).predictions()


@dataclass
class _Batch:
    """Questions whose queries are written together."""

    examples: dict[int, Example]
    prompts: ExamplePrompts
    writer: Writer
    runner: SQLiteRunner
    databases: Path
    asking: Asking

    def predictions(self) -> list[Prediction]:
        started = time.monotonic()
        asked, problems = self._prompts(dict.fromkeys(self.examples, ""))
        texts = self._write(asked, self.asking.num_samples)
        if self.asking.num_samples == 1 and not (self.asking.repair or self.asking.repair_empty):
            made = {index: Prediction(index, extract_sql(text[0]), text[0]) for index, text in texts.items()}
        else:
            made = self._tried(texts)
        made |= {index: Prediction(index, "", problem=problem) for index, problem in problems.items()}
        seconds = (time.monotonic() - started) / len(self.examples)
        return [replace(made[index], seconds=seconds) for index in self.examples]

    def _prompts(self, troubles: dict[int, str]) -> tuple[dict[int, Asked], dict[int, str]]:
        """The prompts, and the reasons of questions without one, by index. `troubles`: errors of earlier queries."""
        asked, problems = {}, {}
        for index, trouble in troubles.items():
            try:
                prompt, schema = self.prompts.asked(self.examples[index], trouble=trouble)
                asked[index] = (prompt.text, schema)
            except (FileNotFoundError, ChakuError) as error:
                problems[index] = str(error)
        return asked, problems

    def _write(self, asked: dict[int, Asked], num_samples: int) -> dict[int, list[str]]:
        if not asked:
            return {}
        return dict(zip(asked, self.writer.write([*asked.values()], num_samples), strict=True))

    def _tried(self, texts: dict[int, list[str]]) -> dict[int, Prediction]:
        asking = self.asking
        candidates = {index: self._candidates(index, written) for index, written in texts.items()}
        again = self._again(candidates) if asking.repair or asking.repair_empty else {}
        for index, written in again.items():
            candidates[index] += self._candidates(index, written)
        chosen = self._chosen({index: tried for index, tried in candidates.items() if not trouble_with(tried)})
        made = {}
        for index, tried in candidates.items():
            best = chosen.get(index, Choice(tried[0], 0.0))
            made[index] = Prediction(index, best.candidate.sql, texts[index][0], best.share, asked_again=index in again)
        return made

    def _again(self, candidates: dict[int, list[Candidate]]) -> dict[int, list[str]]:
        """The second texts of the questions without a right query."""
        troubles = {
            index: trouble
            for index, tried in candidates.items()
            if (trouble := trouble_with(tried, empty=self.asking.repair_empty))
        }
        return self._write(self._prompts(troubles)[0], self.asking.num_samples)

    def _chosen(self, candidates: dict[int, list[Candidate]]) -> dict[int, Choice]:
        """The choice of each question. `candidates`: some of them ran."""
        num_samples = self.asking.num_samples
        if self.asking.select == "tests":
            return {index: by_tests(tried, num_samples, self._database(index)) for index, tried in candidates.items()}
        looked: dict[int, list[str]] = {}
        if self.asking.select == "csc":
            said = {index: words for index, tried in candidates.items() if (words := two_results(tried))}
            asked = {index: one for index, one in self._prompts(said)[0].items() if said[index] in one[0]}
            looked = self._write(asked, SECOND_LOOKS)  # a small prompt has no room for two queries
        return {
            index: by_votes(tried, num_samples, self._candidates(index, looked.get(index, [])))
            for index, tried in candidates.items()
        }

    def _database(self, index: int) -> Path:
        return database_file(self.databases, self.examples[index].database)

    def _candidates(self, index: int, texts: list[str]) -> list[Candidate]:
        name, path = self.examples[index].database, self._database(index)

        def run(sql: str) -> Result:
            return self.runner.run(path, sql, timeout=self.asking.timeout)

        return list(try_texts(texts, self.prompts.schema(name), run, mend=self.asking.repair))
