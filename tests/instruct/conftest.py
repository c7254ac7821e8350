"""A model that is played: its answers follow from the prompt, and every ask is counted."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from chaku.inference.generator import Completion, Request, SamplingParams, TextPrompt
from warm_sandboxes import parked, warm_sandboxes  # noqa: F401

QUESTIONS = {
    "Add two numbers.": ("add", "a + b", ["add(1, 2) == 3", "add(0, 5) == 5", "add(-1, 1) == 0", "add(2, 2) == 4"]),
    "Give the largest number of a list that is not empty.": (
        "largest",
        "max(a)",
        ["largest([1, 9, 3]) == 9", "largest([4]) == 4", "largest([-3, -7]) == -3"],
    ),
    "Reverse a text.": ("turn", "a[::-1]", ['turn("abc") == "cba"', 'turn("") == ""', 'turn("xy") == "yx"']),
}


@dataclass(frozen=True)
class Asked:
    """A prompt that was asked, and its kind."""

    kind: str
    prompt: str
    params: SamplingParams


def kind_of(prompt: str) -> str:
    if "programming interview questions" in prompt:
        return "questions"
    return "tests" if "[TESTS]" in prompt else "solutions"


class Played:
    """Answers with tests and with solutions, three in four of which are wrong."""

    num_rows, num_threads, tokenizer, context = 16, 1, None, None

    def __init__(self, name: str = "played"):
        self.identity = self.record = {"model": name}
        self.asked: list[Asked] = []
        self.tests: dict[str, str] = {}
        self.solutions: dict[str, Callable[[int], str]] = {}

    def check(self, request: Request) -> None:
        pass

    def answer(self, requests: Sequence[Request]) -> list[Completion]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Completion:
        assert isinstance(request.prompt, TextPrompt)
        prompt, number = request.prompt.text, request.sample
        kind = kind_of(prompt)
        if number == 0:
            self.asked.append(Asked(kind, prompt, request.params))
        text, num_tokens = self.write(kind, prompt, number, request.params.num_samples)
        return Completion(text, num_tokens, "stop")

    def write(self, kind: str, prompt: str, number: int, num_samples: int) -> tuple[str, int]:
        """Sample `number` of an ask, and its tokens."""
        if kind == "questions":
            lines = [f"{place}. {question}" for place, question in enumerate(QUESTIONS, 1)]
            return "\n".join([*lines, "9. Cut"]), 30
        question = next(question for question in QUESTIONS if question in prompt.split("Question: ")[-1])
        name, body, tests = QUESTIONS[question]
        if kind == "tests":
            asserts = "\n".join(f"# Test case {place}:\nassert {test}" for place, test in enumerate(tests, 1))
            return self.tests.get(question, f"{asserts}\n"), 20
        right = random.Random(f"{question} {number}").random() < 0.25 or number == num_samples - 1
        text = f"def {name}(a, b=None):\n    return {body if right else 'None'}\n"
        return self.solutions[question](number) if question in self.solutions else text, 10


@pytest.fixture
def played() -> Played:
    return Played()
