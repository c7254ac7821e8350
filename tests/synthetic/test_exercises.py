"""The synthetic family: right code, wrong habits as often as said, and no exercise on both sides."""

import random
from itertools import islice

import pytest

from chaku.corpus.build import build_corpus
from chaku.corpus.sources import Source
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
    assert sum(bool(each.habit) for each in OPERATIONS) == 10
    assert all(len(set(each.ways)) == 4 for each in OPERATIONS)


def test_right_code_passes_and_wrong_habits_mostly_do_not() -> None:
    made = list(islice(exercises("a test", 1, held_out=False, num_tests=12), 300))
    assert all(passes(each.code, each.tests) for each in made)
    wrong = []
    for each in made:
        code = each.usual(random.Random(each.question))
        if code != each.code:
            wrong.append(passes(code, each.tests))
    assert 0.3 < len(wrong) / len(made) < 0.6
    assert sum(wrong) / len(wrong) < 0.25  # where the reducer hides it


def test_every_habit_is_used_as_often_as_said_and_can_be_noticed() -> None:
    seen: dict[str, list[bool]] = {}
    noticed = set()
    draw = random.Random(1)
    for each in islice(exercises("a test", 2, held_out=False, num_tests=12), 3000):
        operations = [operation for operation, _ in each._steps]
        lines = zip(operations, each.code.splitlines()[1:], each.usual(draw).splitlines()[1:], strict=False)
        for operation, right, used in lines:
            if operation.habit:
                seen.setdefault(operation.name, []).append(right != used)
        if len(operations) == 1 and operations[0].habit and not passes(each.usual(draw), each.tests):
            noticed.add(operations[0].name)
    assert all(abs(sum(used) / len(used) - HABIT_RATE) < 0.08 for used in seen.values())
    assert noticed == set(seen)


def test_a_tenth_of_the_signatures_is_in_nothing_but_the_problems() -> None:
    made = exercises("a test", 1, held_out=False, num_tests=5)
    trained = {each.signature for each in islice(made, 3000)}
    held = list(islice(exercises("problems", 0, held_out=True, num_tests=12), 300))
    assert trained.isdisjoint({each.signature for each in held})
    draws = random.Random(0)
    names = [each.name for each in OPERATIONS]
    signatures = [(*draws.sample(names, 2), "sum") for _ in range(4000)]
    from chaku.synthetic.exercises import Exercise

    share = sum(Exercise(each, 0, "", "", ()).held_out for each in signatures) / 4000
    assert 0.08 < share < 0.12


def test_questions_and_tests_say_something() -> None:
    made = list(islice(exercises("a test", 3, held_out=False, num_tests=5, frames=(0, 1, 2)), 300))
    assert len({each.question for each in made}) == 300
    assert {each.frame for each in made} == {0, 1, 2}
    assert not any("{" in each.question for each in made)
    assert all(len({test.split("==")[1] for test in each.tests}) >= 3 for each in made)
    again = list(islice(exercises("a test", 3, held_out=False, num_tests=5, frames=(0, 1, 2)), 300))
    assert made == again
    assert made != list(islice(exercises("a test", 4, held_out=False, num_tests=5, frames=(0, 1, 2)), 300))


def test_it_is_a_source_of_a_corpus(tmp_path) -> None:
    build_corpus([Source("exercises", "exercises", "1", max_bytes=40_000)], tmp_path / "corpus", heldout_fraction=0.1)
    texts = [each.text for each in read_documents(tmp_path / "corpus", "train")]
    texts += [each.text for each in read_documents(tmp_path / "corpus", "heldout")]
    assert sorted(texts) == sorted(text for text in documents(1, 40_000) if text in texts)
    assert len(texts) > 0.98 * len(list(documents(1, 40_000)))
    assert {text.startswith("[INST] ") for text in texts} == {True, False}
    with pytest.raises(ChakuError, match="need max_bytes"):
        build_corpus([Source("exercises", "exercises", "1")], tmp_path / "other")
