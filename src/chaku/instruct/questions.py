"""Where questions come from: a file, or a model, with or without seeds to vary on."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaku.errors import ChakuError
from chaku.files import sha256_json
from chaku.instruct.asks import Ask
from chaku.instruct.prompts import read_questions
from chaku.instruct.scheduler import Scheduler
from chaku.instruct.suites import Suite, given_suite
from chaku.instruct.triples import Settings
from chaku.jsonl import read_lines

PER_PROMPT = 50  # questions; paper, 2.5
TOKENS_PER_QUESTION = 60
PROMPTS_AT_ONCE = 16
MAX_BARREN = 5  # prompts in a row that bring nothing new, after which no more are asked


@dataclass(frozen=True)
class Question:
    """A question, where it is from (a file and line, or a prompt's number), and trusted tests if there are any."""

    text: str
    source: str
    suite: Suite | None = None

    @property
    def key(self) -> str:
        """The same for texts that differ in white space and case only, with the same tests."""
        tests = [*self.suite.tests, self.suite.prelude] if self.suite else []
        return sha256_json([" ".join(self.text.lower().split()), tests])


def read_file(path: Path) -> list[Question]:
    """Questions of a text file, one a line, or of JSON lines with `question`, and `tests` and `entry_point` or neither.

    Raises ChakuError, with the line's number, for what is neither.
    """
    if path.suffix not in (".jsonl", ".json", ".gz"):
        return [Question(line, f"{path.name}:{number}") for number, line in read_seeds(path)]
    found = []
    for number, row in read_lines(path):
        where = f"{path}, line {number}"
        text, tests = (row.get("question"), row.get("tests", [])) if isinstance(row, dict) else (None, [])
        if not isinstance(text, str) or not text.strip():
            raise ChakuError(
                f'{where} is no question: each line is {{"question": ..., "tests": [...] if you have some}}'
            )
        if not isinstance(tests, list) or not all(isinstance(test, str) for test in tests):
            raise ChakuError(f"{where}: tests must be a list of asserts")
        suite = given_suite(tests, str(row.get("entry_point", "")), where) if tests else None
        found.append(Question(text.strip(), f"{path.name}:{number}", suite))
    return found


def read_seeds(path: Path) -> list[tuple[int, str]]:
    """(number, text) of the lines of a text file that are not blank."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ChakuError(f"cannot read {path}: {error}") from error
    found = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise ChakuError(f"{path} has no line that is not blank")
    return found


def ask_questions(
    scheduler: Scheduler, settings: Settings, wanted: int, seeds: Sequence[str] = ()
) -> Iterator[Question]:
    """Questions by the model, 50 a prompt, until `wanted` different ones, or tokens run out, or nothing new comes.

    With `seeds`, each prompt asks for questions in the spirit of one, in turn. Those that repeat another word for word
    are given too: they are for the funnel to count.
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
    """The questions without exact duplicates, and how many those were."""
    by_key: dict[str, Question] = {}
    total = 0
    for question in questions:
        total += 1
        by_key.setdefault(question.key, question)
    return list(by_key.values()), total - len(by_key)
