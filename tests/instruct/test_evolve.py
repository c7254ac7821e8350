"""Evolution of questions: rounds, what adds nothing, going on, and corrections of failed answers."""

import json
from pathlib import Path

import pytest

from chaku.errors import ChakuError
from chaku.instruct.contamination import Contamination
from chaku.instruct.evidence import KEPT, Evidence
from chaku.instruct.evolve import by_operator, evolve
from chaku.instruct.export import export
from chaku.instruct.ledger import Ledger
from chaku.instruct.operators import BY_NAME, OPERATORS, choose, fault, origin
from chaku.instruct.questions import Question
from chaku.instruct.synthesize import Bounds, synthesize
from chaku.instruct.triples import Settings
from chaku.instruct.verify import verify
from instruct.conftest import QUESTIONS, Played

ADD = next(iter(QUESTIONS))
LONGER = "Add two numbers that are given, then double the sum of both and return it."


class Evolver(Played):
    """Rewrites ADD as `to`; answers LONGER with a function of its own."""

    def __init__(self, to: str = LONGER, body: str = "2 * (a + b)", asserts: str = "") -> None:
        super().__init__()
        self.to, self.body = to, body
        self.asserts = asserts or "\n".join(
            f"assert twice({a}, {b}) == {2 * (a + b)}" for a, b in [(1, 2), (0, 5), (-1, 1), (2, 2)]
        )

    def write(self, kind: str, prompt: str, number: int, num_samples: int) -> tuple[str, int]:
        if "Rewrite a programming question" in prompt:
            return f"{self.to}\n", 8
        if prompt.split("Question: ")[-1].startswith(self.to):
            if kind == "tests":
                return self.asserts, 20
            return f"def twice(a, b=None):\n    return {self.body}\n", 10
        return super().write(kind, prompt, number, num_samples)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    synthesize(path, Evolver(), Settings(num_solutions=4), questions=[Question(ADD, "a file")])
    return path


def children(path: Path) -> dict[str, tuple[str | None, Evidence]]:
    with Ledger(path) as opened:
        return {q.text: (q.outcome, q.evidence) for q in opened.questions() if origin(q.source)}


@pytest.fixture
def changes_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaku.instruct.evolve.choose", lambda seed, key, number: BY_NAME["constraint"])


def test_a_harder_question_is_judged_kept_and_exported(ledger: Path, changes_function: None, tmp_path: Path) -> None:
    summary = evolve(ledger, Evolver(), 1)
    assert (summary.funnel[KEPT], sum(summary.funnel.values())) == (1, 1)
    with Ledger(ledger) as opened:
        assert by_operator(opened)["constraint"] == (1, 1)
        export(opened, tmp_path / "out", Contamination([]))
        assert verify(opened).problems == []
    rows = [json.loads(line) for line in (tmp_path / "out/sft.jsonl").read_text().splitlines()]
    found = origin(rows[1]["source"])
    assert found
    assert (found.round, found.operator, found.parent) == (1, "constraint", rows[0]["question"])
    assert rows[1]["pass_rate"] == 1.0
    assert 0 < rows[0]["pass_rate"] < 1


def test_the_next_round_rewrites_the_child_and_a_failed_child_leaves_its_parent(
    ledger: Path, changes_function: None
) -> None:
    evolve(ledger, Evolver(), 1)
    second = Evolver("Add two numbers, triple what comes out, and return this number.", "3 * (a + b)")
    evolve(ledger, second, 2)
    asked = [ask.prompt for ask in second.asked if "Rewrite" in ask.prompt]
    assert len(asked) == 1
    assert f"Old: {LONGER}" in asked[0]
    assert children(ledger)[second.to][0] == "adds nothing"  # its tests double, as its parent does
    third = Evolver("Add two numbers and give the half of the sum, rounded down.", "(a + b) // 2")
    evolve(ledger, third, 3)
    assert f"Old: {LONGER}" in third.asked[0].prompt


@pytest.mark.parametrize(
    ("to", "where"),
    [
        ("", "not a question"),
        ("Sorry, I can't help.", "not a question"),
        ("I'm sorry, but nothing can be added to this one.", "not a question"),
        ("Like the old question, add two numbers, but faster than before.", "not a question"),
        ("Add one requirement or limit to it, in about ten words more, please.", "not a question"),
        ("ADD two  numbers", "not a question"),
    ],
)
def test_what_is_no_question_falls_before_it_is_answered(
    ledger: Path, changes_function: None, to: str, where: str
) -> None:
    evolver = Evolver(to)
    evolve(ledger, evolver, 1)
    assert [outcome for outcome, _ in children(ledger).values()] == [where]
    assert len(evolver.asked) == 1


def test_the_parents_words_add_nothing(tmp_path: Path, changes_function: None) -> None:
    path, long = tmp_path / "long.sqlite", "Take two numbers that are given, and return the sum of both of them."
    first = Evolver(
        long, "a + b", "\n".join(f"assert twice({a}, {b}) == {a + b}" for a, b in [(1, 2), (0, 5), (-1, 1)])
    )
    synthesize(path, first, Settings(num_solutions=2), questions=[Question(long, "a file")])
    evolve(path, Evolver(f"{long} Please."), 1)
    [(outcome, evidence)] = children(path).values()
    assert (outcome, evidence.why) == ("adds nothing", "its words are the parent's")


def test_tests_that_the_parents_solution_passes_add_nothing(ledger: Path, changes_function: None) -> None:
    same = "\n".join(f"assert twice({a}, {b}) == {a + b}" for a, b in [(1, 2), (0, 5), (-1, 1), (2, 2)])
    evolve(ledger, Evolver(asserts=same, body="a + b"), 1)
    outcome, evidence = children(ledger)[LONGER]
    assert (outcome, evidence.why) == ("adds nothing", "the parent's solution passes its tests")


def test_one_function_asked_for_in_another_way_needs_another_solution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaku.instruct.evolve.choose", lambda seed, key, number: BY_NAME["complexity"])
    body = "sum(number for number in [a, b, 0, 0] if number is not None)"
    asserts = "\n".join(f"assert twice({a}, {b}) == {a + b}" for a, b in [(1, 2), (0, 5), (-1, 1), (2, 2)])
    first = "Add two numbers that a caller gives to a function of yours."
    path = tmp_path / "ledger.sqlite"
    synthesize(path, Evolver(first, body, asserts), Settings(num_solutions=2), questions=[Question(first, "a file")])
    child = "Return the total of two integers, in constant time and without any list."
    evolve(path, Evolver(child, body, asserts), 1)
    assert children(path)[child][1].why == "its solution is the parent's"
    path = tmp_path / "other.sqlite"
    synthesize(path, Evolver(first, body, asserts), Settings(num_solutions=2), questions=[Question(first, "a file")])
    evolve(path, Evolver(child, "a + b", asserts), 1)
    assert children(path)[child][0] == KEPT


def test_a_second_call_asks_nothing_and_a_killed_one_goes_on(ledger: Path, changes_function: None) -> None:
    class Dies(Exception):
        pass

    class Mortal(Evolver):
        def answer(self, requests):  # type: ignore[no-untyped-def]
            if len(self.asked) == 2:
                raise Dies
            return super().answer(requests)

    mortal, heir, idle = Mortal(), Evolver(), Evolver()
    with pytest.raises(Dies):
        evolve(ledger, mortal, 1)
    first = evolve(ledger, heir, 1)
    assert len(mortal.asked) + len(heir.asked) == 3  # the question, its tests, its solutions
    second = evolve(ledger, idle, 1)
    assert (idle.asked, second.run, second.funnel) == ([], 0, first.funnel)


def test_a_bound_of_tokens_leaves_the_rest_for_a_larger_one(ledger: Path, changes_function: None) -> None:
    with Ledger(ledger) as opened:
        spent = opened.num_tokens()
    assert evolve(ledger, Evolver(), 1, max_tokens=spent + 1).funnel["unfinished"] == 1
    assert evolve(ledger, Evolver(), 1).funnel[KEPT] == 1


def test_wrong_ledgers_are_refused(tmp_path: Path, ledger: Path) -> None:
    with pytest.raises(ChakuError, match="run chaku instruct synthesize"):
        evolve(tmp_path / "new.sqlite", Evolver(), 1)
    other = Evolver()
    other.identity = {"model": "another"}
    with pytest.raises(ChakuError, match="model was"):
        evolve(ledger, other, 1)
    empty = tmp_path / "empty.sqlite"
    broken = Evolver()
    broken.tests[ADD] = "nothing"
    synthesize(empty, broken, Settings(num_solutions=1), questions=[Question(ADD, "a file")])
    with pytest.raises(ChakuError, match="no kept question"):
        evolve(empty, Evolver(), 1)


def test_operators_are_drawn_evenly_and_repeatably() -> None:
    drawn = [choose(1, f"key {number}", 1) for number in range(500)]
    assert drawn == [choose(1, f"key {number}", 1) for number in range(500)]
    assert all(60 < drawn.count(operator) < 140 for operator in OPERATORS)
    assert not fault("Count the words of a text that begin with a vowel.", OPERATORS[0])


class Corrects(Played):
    """Every solution is wrong; the second correction is right."""

    def write(self, kind: str, prompt: str, number: int, num_samples: int) -> tuple[str, int]:
        if "fails one of its tests" in prompt:
            self.asked[-1] = type(self.asked[-1])("correction", prompt, self.asked[-1].params)
            right = "a - b" not in prompt.split("Question: ")[-1]
            return f"def add(a, b):\n    return {'a + b' if right else 'a * b'}\n", 10
        if kind == "solutions":
            return "def add(a, b):\n    return a - b\n", 10
        return super().write(kind, prompt, number, num_samples)


def test_a_failed_answer_is_corrected_with_its_error(tmp_path: Path) -> None:
    path, played = tmp_path / "ledger.sqlite", Corrects()
    settings = Settings(num_solutions=3, num_corrections=2)
    synthesize(path, played, settings, Bounds(), questions=[Question(ADD, "a file")])
    shown = [ask.prompt for ask in played.asked if ask.kind == "correction"]
    assert len(shown) == 2
    assert "assert add(1, 2) == 3\nError: " in shown[0]
    with Ledger(path) as opened:
        [question] = opened.questions()
        assert (question.outcome, question.evidence.accepted, question.evidence.pass_rate) == (KEPT, 4, 0.0)
        assert verify(opened).problems == []
        counts = export(opened, tmp_path / "out", Contamination([]))
        assert export(opened, tmp_path / "narrow", Contamination([]), pass_rate=(0.1, 0.9))["too_easy_or_hard"] == 1
    assert counts["corrections"] == 1
    row = json.loads((tmp_path / "out/corrections.jsonl").read_text())
    assert "a * b" in row["messages"][0]["content"]
    assert "a + b" in row["messages"][1]["content"]
    sft = json.loads((tmp_path / "out/sft.jsonl").read_text())
    assert "fails one of its tests" in sft["solution_asked"]["prompt"]


def test_corrections_end_and_without_them_nothing_is_asked(tmp_path: Path) -> None:
    for number, asked in ((0, 2), (1, 3)):
        played = Corrects()
        settings = Settings(num_solutions=3, num_corrections=number)
        path = tmp_path / f"{number}.sqlite"
        synthesize(path, played, settings, questions=[Question(ADD, "a file")])
        with Ledger(path) as opened:
            assert [question.outcome for question in opened.questions()] == ["no solution passes"]
        assert len(played.asked) == asked
