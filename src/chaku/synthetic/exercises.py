"""Synthetic programming exercises with known solutions, to measure the effect of execution feedback.

An exercise is a function `f(xs)` of a short list of integers: one to three of 22 list operations, then a reducer, in
varying words. The base model's corpus has systematic wrong habits: it writes ten of the operations with a wrong idiom
60% of the time. A tenth of the operation signatures, chosen by hash, is held out of the corpus and of all training
questions; models are compared on this tenth. The results are about selection by execution within this family only, not
about other benchmarks.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

HABIT_RATE = 0.6  # the rate of the wrong idiom in the corpus, for operations that have one
HELDOUT = 10  # one signature in so many is held out
LONGEST_LIST = 7
ALL_FRAMES, FINE_TUNING_FRAMES = (0, 1, 2, 3), (0, 1, 2)  # no fine-tuning question uses frame 3
MAX_TESTS = 5  # on a page of tests


@dataclass(frozen=True)
class Operation:
    """A list operation. `ways`: its wordings. `code`: the expression of the new xs; `habit`: the corpus's wrong idiom.

    `k`: the range of the operation's number.
    """

    name: str
    ways: tuple[str, ...]
    code: str
    habit: str = ""
    k: tuple[int, int] = (1, 9)


OPERATIONS = (
    Operation(
        "at_least",
        ("keep the numbers from {k} up", "keep what is at least {k}", "drop all below {k}", "leave out less than {k}"),
        "[x for x in xs if x >= {k}]",
        "[x for x in xs if x > {k}]",
    ),
    Operation(
        "at_most",
        ("keep the numbers up to {k}", "keep what is at most {k}", "drop all above {k}", "leave out more than {k}"),
        "[x for x in xs if x <= {k}]",
        "[x for x in xs if x < {k}]",
    ),
    Operation(
        "first",
        ("take the first {k}", "keep only the first {k}", "cut the list after {k}", "use {k} from the front"),
        "xs[:{k}]",
        "xs[:{k} - 1]",
        (2, 4),
    ),
    Operation(
        "last",
        ("take the last {k}", "keep only the last {k}", "use {k} from the end", "keep the final {k}"),
        "xs[-{k}:]",
        "xs[-{k} + 1:]",
        (2, 4),
    ),
    Operation(
        "skip",
        ("skip the first {k}", "drop {k} from the front", "remove the first {k}", "start after the first {k}"),
        "xs[{k}:]",
        "xs[{k} - 1:]",
        (2, 4),
    ),
    Operation(
        "every",
        ("take every {k}th from the first on", "step by {k}", "keep one in {k}", "pick the first of every {k}"),
        "xs[::{k}]",
        "xs[{k} - 1::{k}]",
        (2, 3),
    ),
    Operation(
        "descending",
        ("sort from high to low", "sort descending", "order by size, largest first", "put the largest first"),
        "sorted(xs, reverse=True)",
        "sorted(xs)",
    ),
    Operation(
        "multiples",
        (
            "keep multiples of {k}",
            "keep what {k} divides",
            "keep numbers divisible by {k}",
            "drop non-multiples of {k}",
        ),
        "[x for x in xs if x % {k} == 0]",
        "[x for x in xs if x % {k}]",
        (2, 4),
    ),
    Operation(
        "cap",
        ("cap each at {k}", "limit each to {k}", "lower what is over {k} to {k}", "let none exceed {k}"),
        "[min(x, {k}) for x in xs]",
        "[max(x, {k}) for x in xs]",
    ),
    Operation(
        "differences",
        ("take each minus the one before", "take the steps between neighbours", "list the increases", "difference it"),
        "[b - a for a, b in zip(xs, xs[1:])]",
        "[a - b for a, b in zip(xs, xs[1:])]",
    ),
    Operation(
        "add",
        ("add {k} to each", "increase each by {k}", "raise all by {k}", "shift up by {k}"),
        "[x + {k} for x in xs]",
    ),
    Operation(
        "subtract",
        ("subtract {k} from each", "decrease each by {k}", "lower all by {k}", "shift down by {k}"),
        "[x - {k} for x in xs]",
    ),
    Operation(
        "multiply",
        ("multiply each by {k}", "scale by {k}", "make each {k} times as large", "take {k} times each"),
        "[x * {k} for x in xs]",
        k=(2, 5),
    ),
    Operation(
        "square",
        ("square each", "take the squares", "raise each to the power 2", "multiply each by itself"),
        "[x * x for x in xs]",
    ),
    Operation(
        "negate", ("negate each", "flip the signs", "change every sign", "take the opposites"), "[-x for x in xs]"
    ),
    Operation(
        "absolute",
        ("take absolute values", "drop the signs", "make all non-negative", "use magnitudes"),
        "[abs(x) for x in xs]",
    ),
    Operation(
        "ascending",
        ("sort from low to high", "sort ascending", "order by size, smallest first", "put the smallest first"),
        "sorted(xs)",
    ),
    Operation(
        "reverse", ("reverse the list", "turn it around", "go from back to front", "read it backwards"), "xs[::-1]"
    ),
    Operation(
        "even",
        ("keep the even numbers", "keep only evens", "drop the odd numbers", "leave out odds"),
        "[x for x in xs if x % 2 == 0]",
    ),
    Operation(
        "odd",
        ("keep the odd numbers", "keep only odds", "drop the even numbers", "leave out evens"),
        "[x for x in xs if x % 2 == 1]",
    ),
    Operation(
        "unique",
        ("drop repeats", "keep each value once", "remove duplicates", "make values unique"),
        "list(dict.fromkeys(xs))",
    ),
    Operation(
        "without",
        ("remove every {k}", "drop all equal to {k}", "leave out each {k}", "delete the {k}s"),
        "[x for x in xs if x != {k}]",
    ),
)
REDUCERS = {
    "list": (("the list", "what is left", "the result", "all of them"), "xs"),
    "sum": (("the sum", "the total", "all added up", "their sum"), "sum(xs)"),
    "length": (("how many there are", "the count", "the length", "the number of them"), "len(xs)"),
    "largest": (("the largest or 0", "the maximum or 0", "the biggest or 0", "the highest or 0"), "max(xs, default=0)"),
    "smallest": (("the smallest or 0", "the minimum or 0", "the least or 0", "the lowest or 0"), "min(xs, default=0)"),
    "final": (
        ("the last one or 0", "the final one or 0", "the end one or 0", "the rear one or 0"),
        "xs[-1] if xs else 0",
    ),
}
FRAMES = (
    ("Write f(xs): ", ", then ", ". Return {end}."),
    ("Given numbers xs, f should ", "; next ", ". The answer is {end}."),
    ("f(xs) gives {end} after these steps: ", "; ", "."),
    ("Starting from the list xs, ", " and ", ". Give back {end}."),
)


# The text before an answer with code, and the text before tests, in the corpus and in every prompt.
CHAT = "[INST] {question} [/INST]"
PAGE = "{question}\n[TESTS]\n"


@dataclass(frozen=True)
class Exercise:
    """`signature`: the names of the operations and of the reducer. `frame`: the index in FRAMES.

    `code` is a right solution; `tests` are asserts with its results.
    """

    signature: tuple[str, ...]
    frame: int
    question: str
    code: str
    tests: tuple[str, ...]

    @property
    def held_out(self) -> bool:
        """Whether the signature is held out of all training."""
        return hashlib.sha256(" ".join(self.signature).encode()).digest()[0] * HELDOUT < 256

    def usual(self, random: random.Random) -> str:
        """The code as the corpus writes it, with wrong habits at random."""
        return _code(self._steps, self.signature[-1], [random.random() < HABIT_RATE for _ in self._steps])

    _steps: tuple[tuple[Operation, int], ...] = ()


def exercises(
    purpose: str, seed: int, *, held_out: bool, num_tests: int, frames: tuple[int, ...] = ALL_FRAMES
) -> Iterator[Exercise]:
    """Endless different exercises from one side of the split; every exercise has meaningful tests.

    The tests of an exercise have at least three different values, and at most half of the values are equal. Another
    `purpose` or `seed` gives other exercises.
    """
    draw = random.Random(f"{purpose} {seed} {held_out}")
    seen: set[str] = set()
    while True:
        made = _draw(draw, num_tests, frames)
        if made.held_out == held_out and made.question not in seen and _says_something(made.tests):
            seen.add(made.question)
            yield made


def documents(seed: int, max_bytes: int) -> Iterator[str]:
    """A base model's corpus, up to `max_bytes`: chats with code by habit and, 1 in 16, pages of right tests."""
    draw = random.Random(f"documents {seed}")
    size = 0
    for made in exercises("corpus", seed, held_out=False, num_tests=MAX_TESTS):
        tests = "\n".join(made.tests)
        is_page = draw.random() < 1 / 16
        text = PAGE.format(question=made.question) + f"{tests}\n[/TESTS]\n" if is_page else in_chat(made, draw)
        size += len(text.encode())
        if size > max_bytes:
            return
        yield text


def in_chat(exercise: Exercise, draw: random.Random) -> str:
    """The question and code by habit, in Llama 2's chat format."""
    return f"{CHAT.format(question=exercise.question)} {exercise.usual(draw)}"


def _draw(draw: random.Random, num_tests: int, frames: tuple[int, ...]) -> Exercise:
    steps = tuple((operation, draw.randint(*operation.k)) for operation in draw.sample(OPERATIONS, draw.randint(1, 3)))
    end = draw.choice(list(REDUCERS))
    frame = draw.choice(frames)
    opening, joint, closing = FRAMES[frame]
    words = joint.join(draw.choice(operation.ways).format(k=k) for operation, k in steps)
    code = _code(steps, end, [False] * len(steps))
    function = _compiled(code)
    tests = []
    for _ in range(num_tests):
        xs = [draw.randint(-4, 12) for _ in range(draw.randint(3, LONGEST_LIST))]
        tests.append(f"assert f({xs}) == {function(list(xs))!r}")
    return Exercise(
        (*(operation.name for operation, _ in steps), end),
        frame,
        f"{opening}{words}{closing}".format(end=draw.choice(REDUCERS[end][0])),
        code,
        tuple(tests),
        steps,
    )


def _code(steps: tuple[tuple[Operation, int], ...], end: str, by_habit: list[bool]) -> str:
    lines = [
        f"    xs = {(operation.habit if wrong and operation.habit else operation.code).format(k=k)}\n"
        for (operation, k), wrong in zip(steps, by_habit, strict=True)
    ]
    return f"def f(xs):\n{''.join(lines)}    return {REDUCERS[end][1]}\n"


def _compiled(code: str) -> Any:
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    return namespace["f"]


def _says_something(tests: tuple[str, ...]) -> bool:
    values = [test.split("==")[1] for test in tests]
    return len(set(values)) >= 3 and max(map(values.count, values)) <= len(values) / 2
