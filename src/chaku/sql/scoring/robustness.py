"""Asks the same questions in other ways, and reports where the answers break.

The first file of questions is asked unchanged, with typing errors and in other words. Every further file is asked too;
a file of the same questions in other words (Spider-Syn, translations, paraphrases) is paired with the first file
question by question. The variants of each database show answers that are right by luck.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from chaku.console import say
from chaku.errors import ChakuError
from chaku.files import read_text, write_json, write_text
from chaku.jsonl import read_lines
from chaku.sql.ask.writer import ModelWriter
from chaku.sql.scoring.benchmark import SqlResult, choose, run_benchmark
from chaku.sql.scoring.breakage import Answered, Breakage, breakages, in_markdown
from chaku.sql.scoring.changes import Change, changed
from chaku.sql.scoring.datasets import Example
from chaku.sql.scoring.predict import Asking
from chaku.sql.scoring.question_files import QuestionFile, find_questions
from chaku.sql.training.example_prompts import PromptSettings

VARIANTS = "variants of the database"
REPORTED = ("chaku", "model_sha256", "prompt_form", "grammar", "num_samples", "select", "repair", "seed")  # manifest


@dataclass(frozen=True)
class Suite:
    """Questions to ask under one `name`. `partners`: for each, its place among the first suite's questions, or None."""

    name: str
    questions: QuestionFile
    partners: tuple[int | None, ...]

    @property
    def folder(self) -> str:
        """A name for the suite's folder."""
        return "".join(character if character.isalnum() else "-" for character in self.name)


@dataclass(frozen=True)
class Paired:
    """A further file of questions. `partners`: for indices in it, the index of the same question in the first file."""

    questions: QuestionFile
    partners: dict[int, int]


def read_paired(path: Path, first: QuestionFile, databases: Path | None = None) -> Paired:
    """A file of questions as for `chaku sql eval`, or of lines NUMBER<tab>TEXT: other words of a question of `first`.

    Numbers begin at 0. Raises ChakuError for a line that is none, and as `find_questions` does.
    """
    if path.suffix != ".tsv":
        found = find_questions(path, databases)
        return Paired(found, _partners(found, first))
    numbers, examples = [], []
    for place, line in enumerate(read_text(path).splitlines(), 1):
        number, tab, text = line.partition("\t")
        if not (tab and text.strip() and number.isdecimal() and int(number) < len(first.examples)):
            last = len(first.examples) - 1
            raise ChakuError(
                f"{path}, line {place}: write the number of a question of {first.name} (0 to {last}), a tab, and a text"
            )
        numbers.append(int(number))
        examples.append(replace(first.examples[numbers[-1]], question=text.strip()))
    if not examples:
        raise ChakuError(f"{path} has no questions; write lines such as: 12<tab>How old is Ben?")
    return Paired(replace(first, path=path, examples=examples), dict(enumerate(numbers)))


def suites(
    first: QuestionFile, others: Sequence[Paired], changes: Sequence[Change], limit: int | None, seed: int
) -> list[Suite]:
    """The suites to ask; the first has the unchanged questions.

    `limit`: at most this number of questions of each file, drawn by `seed`. The unchanged question of every drawn
    question is asked too. Raises ChakuError for two files of one name, and if no question may change.
    """
    names = [first.name, *(other.questions.name for other in others)]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ChakuError(f"--questions names {twice} twice; give every file once")
    askable = first.askable()[0]
    drawn = choose(askable, limit, seed)
    drawn_others = [choose(other.questions.askable()[0], limit, seed) for other in others]
    wanted = set(drawn)
    for other, indices in zip(others, drawn_others, strict=True):
        wanted |= {other.partners[index] for index in indices if index in other.partners}
    place = {index: number for number, index in enumerate(sorted(wanted & set(askable)))}
    made = [Suite(first.name, _only(first, [*place]), tuple(place.values()))]
    for other, indices in zip(others, drawn_others, strict=True):
        partners = tuple(place.get(other.partners.get(index, -1)) for index in indices)
        made.append(Suite(other.questions.name, _only(other.questions, indices), partners))
    for change in changes:
        pairs = [(place[index], new) for index in drawn if (new := changed(first.examples[index], change, seed))]
        if not pairs:
            raise ChakuError(f"no question of {first.name} may get {change}; leave out --change {change}")
        if len(pairs) < len(drawn):
            say(f"{change}: {len(drawn) - len(pairs)} questions have no words that may change, and are left out")
        examples = [new for _, new in pairs]
        made.append(Suite(change, replace(first, examples=examples), tuple(number for number, _ in pairs)))
    return made


def _only(file: QuestionFile, indices: Sequence[int]) -> QuestionFile:
    return replace(file, examples=[file.examples[index] for index in indices])


def _partners(file: QuestionFile, first: QuestionFile) -> dict[int, int]:
    """For the indices in `file`, the index of the same question in `first`.

    Files of one length with the same databases in the same order are paired line by line (Spider-Syn changes a few gold
    queries); others by database and gold query.
    """
    if [example.database for example in file.examples] == [example.database for example in first.examples]:
        return {index: index for index in range(len(file.examples))}
    places: dict[tuple[str, str], deque[int]] = defaultdict(deque)
    for index, example in enumerate(first.examples):
        places[_key(example)].append(index)
    found = {}
    for index, example in enumerate(file.examples):
        if there := places.get(_key(example)):
            found[index] = there[0]
            there.rotate(-1)
    return found


def _key(example: Example) -> tuple[str, str]:
    return example.database, " ".join(example.query.rstrip("; ").split()).lower()


def run_robustness(
    asked: Sequence[Suite],
    writer: ModelWriter,
    out: Path,
    *,
    prompt: PromptSettings,
    asking: Asking,
    seed: int = 0,
    num_variants: int = 0,
) -> list[Breakage]:
    """Ask all suites, each in its own folder of `out`, and write robustness.json and robustness.md there.

    A killed run goes on with the missing questions. Raises ChakuError when a folder has answers that were made with
    other settings.
    """
    results: list[SqlResult] = []
    answered: dict[str, list[Answered]] = {}
    first: dict[int, dict[str, Any]] = {}
    for number, suite in enumerate(asked):
        say(f"{suite.name}: {len(suite.questions.examples)} questions")
        result = run_benchmark(
            suite.questions, writer, prompt=prompt, asking=asking, seed=seed,
            num_variants=0 if number else num_variants, out=out / suite.folder,
        )  # fmt: skip
        results.append(result)
        rows = {
            int(row["task_id"].rsplit("/", 1)[1]): row for _, row in read_lines(out / suite.folder / "samples.jsonl")
        }
        first = first or rows
        answered[suite.name] = [
            _answered(row, first.get(partner) if number and partner is not None else None)
            for index, row in rows.items()
            for partner in [suite.partners[index]]
        ]
    if num_variants:
        answered[VARIANTS] = [
            Answered(row["gold"], row["hardness"], row["measures"]["test_suite"] > 0, row["passed"])
            for row in first.values()
            if "test_suite" in row["measures"]
        ]
    figures = breakages(answered)
    about = results[0].manifest
    settings = {name: about.get(name) for name in REPORTED}
    settings["variants of each database"] = num_variants
    record = {"manifest": about, "suites": {suite.name: suite.folder for suite in asked}}
    write_json(out / "robustness.json", {**record, "breakages": [asdict(row) for row in figures]})
    write_text(out / "robustness.md", in_markdown(figures, asked[0].name, settings))
    return figures


def _answered(row: dict[str, Any], unchanged: dict[str, Any] | None) -> Answered:
    return Answered(row["gold"], row["hardness"], row["passed"], unchanged["passed"] if unchanged else None)
