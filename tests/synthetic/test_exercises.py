"""The synthetic family: right code, wrong habits as often as said, and no exercise on both sides."""

import random
from itertools import islice

import pytest

from chaku.corpus.build import build_corpus
from chaku.corpus.reading.sources import Source
from chaku.documents import read_documents
from chaku.errors import ChakuError
from chaku.synthetic.exercises import HABIT_RATE, OPERATIONS, documents, exercises


def passes(code: str, tests: tuple[str, ...]) -> bool:
    names: dict[str, object] = {}
    exec(code, names)
    try:
        for test in tests:
            exec(test, names)
    except AssertionError:
        return False
    return True


def test_it_is_the_family_of_the_reference() -> None:
    assert len(OPERATIONS) == 22
    assert sum(bool(operation.habit) for operation in OPERATIONS) == 10
    assert all(len(set(operation.ways)) == 4 for operation in OPERATIONS)


def test_right_code_passes_and_wrong_habits_mostly_do_not() -> None:
    made = list(islice(exercises("a test", 1, held_out=False, num_tests=12), 300))
    assert all(passes(example.code, example.tests) for example in made)
    wrong = []
    for example in made:
        code = example.usual(random.Random(example.question))
        if code != example.code:
            wrong.append(passes(code, example.tests))
    assert 0.3 < len(wrong) / len(made) < 0.6
    assert sum(wrong) / len(wrong) < 0.25  # where the reducer hides it


def test_every_habit_is_used_as_often_as_said_and_can_be_noticed() -> None:
    seen: dict[str, list[bool]] = {}
    noticed = set()
    draw = random.Random(1)
    for exercise in islice(exercises("a test", 2, held_out=False, num_tests=12), 3000):
        operations = [operation for operation, _ in exercise._steps]
        lines = zip(operations, exercise.code.splitlines()[1:], exercise.usual(draw).splitlines()[1:], strict=False)
        for operation, right, used in lines:
            if operation.habit:
                seen.setdefault(operation.name, []).append(right != used)
        if len(operations) == 1 and operations[0].habit and not passes(exercise.usual(draw), exercise.tests):
            noticed.add(operations[0].name)
    assert all(abs(sum(used) / len(used) - HABIT_RATE) < 0.08 for used in seen.values())
    assert noticed == set(seen)


def test_a_tenth_of_the_signatures_is_in_nothing_but_the_problems() -> None:
    made = exercises("a test", 1, held_out=False, num_tests=5)
    trained = {question.signature for question in islice(made, 3000)}
    held = list(islice(exercises("problems", 0, held_out=True, num_tests=12), 300))
    assert trained.isdisjoint({exercise.signature for exercise in held})
    draws = random.Random(0)
    names = [operation.name for operation in OPERATIONS]
    signatures = [(*draws.sample(names, 2), "sum") for _ in range(4000)]
    from chaku.synthetic.exercises import Exercise

    share = sum(Exercise(signature, 0, "", "", ()).held_out for signature in signatures) / 4000
    assert 0.08 < share < 0.12


def test_questions_and_tests_say_something() -> None:
    made = list(islice(exercises("a test", 3, held_out=False, num_tests=5, frames=(0, 1, 2)), 300))
    assert len({example.question for example in made}) == 300
    assert {example.frame for example in made} == {0, 1, 2}
    assert not any("{" in example.question for example in made)
    assert all(len({test.split("==")[1] for test in example.tests}) >= 3 for example in made)
    again = list(islice(exercises("a test", 3, held_out=False, num_tests=5, frames=(0, 1, 2)), 300))
    assert made == again
    assert made != list(islice(exercises("a test", 4, held_out=False, num_tests=5, frames=(0, 1, 2)), 300))


def test_it_is_a_source_of_a_corpus(tmp_path) -> None:
    build_corpus([Source("exercises", "exercises", "1", max_bytes=40_000)], tmp_path / "corpus", heldout_fraction=0.1)
    texts = [document.text for document in read_documents(tmp_path / "corpus", "train")]
    texts += [document.text for document in read_documents(tmp_path / "corpus", "heldout")]
    assert sorted(texts) == sorted(text for text in documents(1, 40_000) if text in texts)
    assert len(texts) > 0.98 * len(list(documents(1, 40_000)))
    assert {text.startswith("[INST] ") for text in texts} == {True, False}
    with pytest.raises(ChakuError, match="need max_bytes"):
        build_corpus([Source("exercises", "exercises", "1")], tmp_path / "other")
