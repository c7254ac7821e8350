"""Reads questions from a file, or asks a model for questions."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaku.errors import ChakuError
from chaku.files import read_text, sha256_json
from chaku.instruct.asks import Ask
from chaku.instruct.prompts import read_questions
from chaku.instruct.scheduler import Scheduler
from chaku.instruct.suites import Suite, given_suite
from chaku.instruct.triples import Settings
from chaku.jsonl import read_lines

PER_PROMPT = 50  # questions in one reply; Code Llama, 2.5
TOKENS_PER_QUESTION = 60
PROMPTS_AT_ONCE = 16
MAX_BARREN = 5  # stop after this number of prompts in a row without a new question


@dataclass(frozen=True)
class Question:
    """A question. `source`: a file and line, or a prompt's number. `suite`: trusted tests, if the file has any."""

    text: str
    source: str
    suite: Suite | None = None

    @property
    def key(self) -> str:
        """A hash of the tests, and of the text without regard to white space and case."""
        tests = [*self.suite.tests, self.suite.prelude] if self.suite else []
        return sha256_json([" ".join(self.text.lower().split()), tests])


def read_file(path: Path) -> list[Question]:
    """Read questions from a text file, one a line, or from JSON lines.

    A JSON line has `question`, and may have `tests` (a list of asserts) with their `entry_point`. Raises ChakuError,
    with the line's number, for any other line.
    """
    if path.suffix not in (".jsonl", ".json", ".gz"):
        return [Question(line, f"{path.name}:{number}") for number, line in read_seeds(path)]
    found = []
    for number, row in read_lines(path):
        where = f"{path}, line {number}"
        text, tests = (row.get("question"), row.get("tests", [])) if isinstance(row, dict) else (None, [])
        if not isinstance(text, str) or not text.strip():
            raise ChakuError(
                f'{where} is no question: write {{"question": "..."}} or {{"question": "...", "tests": ["assert ..."]}}'
            )
        if not isinstance(tests, list) or not all(isinstance(test, str) for test in tests):
            raise ChakuError(f"{where}: tests must be a list of strings, with one assert in each string")
        suite = given_suite(tests, str(row.get("entry_point", "")), where) if tests else None
        found.append(Question(text.strip(), f"{path.name}:{number}", suite))
    return found


def read_seeds(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that are not blank, as (number, text). Raises ChakuError for a file without any."""
    lines = read_text(path).splitlines()
    found = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise ChakuError(f"{path} has no text; write one question a line")
    return found


def ask_questions(
    scheduler: Scheduler, settings: Settings, wanted: int, seeds: Sequence[str] = ()
) -> Iterator[Question]:
    """Ask the model for questions, PER_PROMPT a prompt, until there are `wanted` different questions.

    Stops earlier when the tokens run out, or after MAX_BARREN prompts without a new question. With `seeds`, each prompt
    asks for questions in the spirit of one seed, in turn. Exact duplicates are yielded too: the funnel counts them.
    """
    seen: set[str] = set()
    number = barren = 0
    while len(seen) < wanted and barren < MAX_BARREN:
        asks = []
        for _ in range(min(-(-(wanted - len(seen)) // PER_PROMPT), PROMPTS_AT_ONCE)):
            seed = f"They are inspired by this: {seeds[number % len(seeds)]}\n" if seeds else ""
            prompt = settings.prompts.questions.format(count=PER_PROMPT, seed=seed)
            length = PER_PROMPT * TOKENS_PER_QUESTION
            asks.append(
                Ask("questions", prompt, 1, length, settings.temperature, settings.top_p, (), settings.seed + number)
            )
            number += 1
        answers = scheduler.answer(asks)
        for place, replies in enumerate(answers, number - len(asks)):
            before = len(seen)
            for text in read_questions(replies[0].text):
                question = Question(text, f"prompt {place}")
                if len(seen) < wanted:
                    seen.add(question.key)
                    yield question
            barren = barren + 1 if len(seen) == before else 0
        if len(answers) < len(asks):
            return


def first_of_each(questions: Iterable[Question]) -> tuple[list[Question], int]:
    """The questions without exact duplicates, and the number of duplicates."""
    by_key: dict[str, Question] = {}
    total = 0
    for question in questions:
        total += 1
        by_key.setdefault(question.key, question)
    return list(by_key.values()), total - len(by_key)
