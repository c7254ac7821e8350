"""A model that is played: its answers follow from the prompt, and every ask is counted."""

import random
from collections.abc import Callable, Sequence

import pytest

from chaku.instruct.generators import Ask, Reply

QUESTIONS = {
    "Add two numbers.": ("add", "a + b", ["add(1, 2) == 3", "add(0, 5) == 5", "add(-1, 1) == 0", "add(2, 2) == 4"]),
    "Give the largest number of a list that is not empty.": (
        "largest",
        "max(a)",
        ["largest([1, 9, 3]) == 9", "largest([4]) == 4", "largest([-3, -7]) == -3"],
    ),
    "Reverse a text.": ("turn", "a[::-1]", ['turn("abc") == "cba"', 'turn("") == ""', 'turn("xy") == "yx"']),
}


class Played:
    """Answers with tests and with solutions, three in four of which are wrong."""

    rows_at_once, num_threads = 16, 1

    def __init__(self, name: str = "played"):
        self.identity = {"model": name}
        self.asked: list[Ask] = []
        self.tests: dict[str, str] = {}
        self.solutions: dict[str, Callable[[int], str]] = {}

    def answer(self, asks: Sequence[Ask]) -> list[list[Reply]]:
        self.asked += asks
        return [[self._reply(ask, number) for number in range(ask.num_samples)] for ask in asks]

    def _reply(self, ask: Ask, number: int) -> Reply:
        if ask.kind == "questions":
            lines = [f"{number}. {question}" for number, question in enumerate(QUESTIONS, 1)]
            return Reply("\n".join([*lines, "9. Cut"]), 30)
        question = next(question for question in QUESTIONS if question in ask.prompt.split("Question: ")[-1])
        name, body, tests = QUESTIONS[question]
        if ask.kind == "tests":
            asserts = "\n".join(f"# Test case {n}:\nassert {test}" for n, test in enumerate(tests, 1))
            return Reply(self.tests.get(question, f"{asserts}\n"), 20)
        right = random.Random(f"{question} {number}").random() < 0.25 or number == ask.num_samples - 1
        text = f"def {name}(a, b=None):\n    return {body if right else 'None'}\n"
        return Reply(self.solutions[question](number) if question in self.solutions else text, 10)


@pytest.fixture
def played() -> Played:
    return Played()
