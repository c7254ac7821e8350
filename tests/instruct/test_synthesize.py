"""Synthesis from end to end with a played model: what falls where, resuming, bounds, and the ledger's evidence."""

import json
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaku.errors import ChakuError
from chaku.evals.problems import Problem
from chaku.inference.generator import Completion, Request
from chaku.instruct.contamination import Contamination
from chaku.instruct.evidence import KEPT
from chaku.instruct.export import export
from chaku.instruct.ledger import Ledger
from chaku.instruct.questions import MAX_BARREN, Question, read_file
from chaku.instruct.suites import given_suite
from chaku.instruct.synthesize import Bounds, Summary, synthesize
from chaku.instruct.triples import Settings
from chaku.instruct.verify import verify
from chaku.sandbox.verdict import Verdict
from instruct.conftest import QUESTIONS, Played

ADD, LARGEST, TURN = QUESTIONS
SETTINGS = Settings(num_solutions=4)


def outcomes(path: Path) -> dict[str, str | None]:
    with Ledger(path) as ledger:
        return {question.text: question.outcome for question in ledger.questions()}


def run(path: Path, played: Played, texts: Sequence[str] = tuple(QUESTIONS), **more: object) -> Summary:
    questions = [Question(text, "a file") for text in texts]
    return synthesize(path, played, SETTINGS, questions=questions, **more)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_the_first_solution_that_passes_is_kept_with_its_evidence(path: Path, played: Played, tmp_path: Path) -> None:
    summary = run(path, played)
    assert summary.funnel[KEPT] == 3
    assert sum(summary.funnel.values()) == 3
    with Ledger(path) as ledger:
        report = verify(ledger, 1000)
        assert (report.num_kept, report.num_replayed, report.problems) == (3, report.num_runs, [])
        counts = export(ledger, tmp_path / "out", Contamination([]), form="plain")
    assert counts["triples"] == 3
    rows = [json.loads(line) for line in (tmp_path / "out" / "sft.jsonl").read_text().splitlines()]
    for row in rows:
        question, solution = (message["content"] for message in row["messages"])
        assert QUESTIONS[question][1] in solution
        assert row["passed"].index(True) == row["solution_asked"]["sample"]
        assert not any(row["passed"][: row["solution_asked"]["sample"]])
        assert question in row["tests_asked"]["prompt"]
        shown = row["solution_asked"]["prompt"]
        assert row["tests"][0] in shown.split("Question: ")[-1]
        assert not any(test in shown for test in row["tests"][1:])
        assert row["solution_asked"]["model"] == {"model": "played"}


def test_the_questions_may_be_the_models_own(path: Path, played: Played) -> None:
    summary = synthesize(path, played, SETTINGS, Bounds(max_questions=50))
    assert summary.funnel[KEPT] == 3
    asked = [ask for ask in played.asked if ask.kind == "questions"]
    assert len(asked) == 1 + MAX_BARREN  # after the first, nothing new came
    assert len({ask.params.seed for ask in asked}) == len(asked)
    assert summary.funnel["exact duplicate"] == 3 * MAX_BARREN
    assert all("{" not in ask.prompt for ask in asked)


def test_seeds_are_in_the_prompts_in_turn(path: Path, played: Played) -> None:
    synthesize(path, played, SETTINGS, Bounds(max_questions=50), seeds=["ropes", "boats"])
    prompts = [ask.prompt for ask in played.asked if ask.kind == "questions"]
    assert [("ropes" in prompt, "boats" in prompt) for prompt in prompts[:3]] == [
        (True, False),
        (False, True),
        (True, False),
    ]


@pytest.mark.parametrize(
    ("tests", "fell"),
    [
        ("assert add(1, 2) == 3\nassert add(0, 1) == 1", "no tests that count"),
        ("assert add(1, 2) == 3\nassert add(0, 3) == 3\nassert add(3, 0) == 3", "no tests that count"),
        ("nothing", "no tests that count"),
        ("assert add(1, 2) != 0\nassert add(0, 3) != 1\nassert add(3, 0) != []", "a stub passes"),
        ("assert add(1, 2) == 4\nassert add(0, 3) == 3\nassert add(3, 0) == 3", "no solution passes"),
    ],
)
def test_weak_tests_fall_before_a_solution_is_asked_for(path: Path, played: Played, tests: str, fell: str) -> None:
    played.tests[ADD] = tests
    run(path, played, [ADD])
    assert outcomes(path) == {ADD: fell}
    assert len(played.asked) == (2 if fell == "no solution passes" else 1)


def test_what_hangs_on_the_hash_seed_is_flaky(path: Path, played: Played) -> None:
    body = "def add(a, b):\n    return a + b if ''.join({'x', 'y', 'z', 'u', 'v', 'w'}) == %r else 0\n"
    with_first_seed = "print(''.join({'x', 'y', 'z', 'u', 'v', 'w'}), end='')"
    from chaku.sandbox.pool import run as run_one
    from chaku.sandbox.verdict import Job

    order = run_one(Job(with_first_seed)).stdout
    played.solutions[ADD] = lambda number: body % order
    run(path, played, [ADD])
    assert outcomes(path) == {ADD: "tests or solution are flaky"}


def test_tests_that_let_mutants_live_fall(path: Path, played: Played) -> None:
    weak = ["assert add(0, 0) == 0", "assert add(5, 5) == 10", "assert add(9, 9) == 18"]
    played.tests[ADD] = "\n".join(weak)
    played.solutions[ADD] = lambda number: "def add(a, b):\n    if a > 3:\n        return a + b\n    return a + b\n"
    run(path, played, [ADD])
    assert outcomes(path) == {ADD: "mutants survive"}
    other = path.with_name("other.sqlite")
    synthesize(other, played, Settings(num_solutions=4, check_mutants=False), questions=[Question(ADD, "a file")])
    assert outcomes(other) == {ADD: KEPT}


def test_what_is_a_benchmarks_falls(path: Path, played: Played) -> None:
    words = "We want you to reverse a text. It has letters. Say nothing else at all"
    long = "def add(a, b):\n    total = a\n    for _ in range(1):\n        total = total + b\n    return total\n"
    played.solutions[ADD] = lambda number: long
    problems = [Problem("bench 1", f"{TURN} It has letters, say nothing else", (), None)]
    problems.append(Problem("bench 2", "", (long.replace("total", "sum_").replace("add", "plus"),), None))
    run(path, played, [ADD, TURN, words], benchmarks=Contamination(problems))
    assert outcomes(path) == {ADD: "solution is a benchmark's", TURN: KEPT, words: "shares words with a benchmark"}


def test_duplicates_fall(path: Path, played: Played) -> None:
    near = f"{LARGEST} Please."
    summary = run(path, played, [ADD, f" {ADD.upper()}", LARGEST, near])
    assert summary.funnel["exact duplicate"] == 1
    assert outcomes(path) == {ADD: KEPT, LARGEST: KEPT, near: "near duplicate"}


def test_what_a_ledger_decided_stays_where_a_later_version_would_decide_otherwise(
    path: Path, played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = f"{LARGEST} Please."
    with monkeypatch.context() as earlier:
        earlier.setattr("chaku.instruct.near_duplicates.at_least_as_similar", lambda first, second, threshold: False)
        run(path, played, [LARGEST, near])
    decided = outcomes(path)
    assert decided[near] != "near duplicate"
    run(path, played, [LARGEST, near])
    assert outcomes(path) == decided


def test_a_second_call_asks_and_runs_nothing(path: Path, played: Played) -> None:
    first = run(path, played)
    again = Played()
    second = run(path, again)
    assert (again.asked, second.asked, second.run) == ([], 0, 0)
    assert second.funnel == first.funnel


@dataclass(frozen=True)
class Whole:
    """A synthesis that nothing cut off."""

    summary: Summary
    asked: list[str]
    outcomes: dict[str, str | None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    path, played = tmp_path_factory.mktemp("whole") / "ledger.sqlite", Played()
    summary = run(path, played)
    return Whole(summary, sorted(map(repr, played.asked)), outcomes(path))


class Dies(Exception):
    pass


@pytest.mark.parametrize("asks", range(7))
def test_killed_anywhere_it_goes_on_without_asking_twice(path: Path, asks: int, whole: Whole) -> None:
    class Mortal(Played):
        num_rows = 1

        def answer(self, requests: Sequence[Request]) -> list[Completion]:
            if len(self.asked) == asks:
                raise Dies
            return super().answer(requests)

    mortal, heir = Mortal(), Played()
    if asks < 6:
        with pytest.raises(Dies):
            run(path, mortal)
    else:
        run(path, mortal)
    summary = run(path, heir)
    assert summary.funnel == whole.summary.funnel
    assert sorted(map(repr, mortal.asked + heir.asked)) == whole.asked
    assert outcomes(path) == whole.outcomes


KILLED = """
    import os, signal, sys
    from pathlib import Path
    tests, ledger, log, number = sys.argv[1:]
    sys.path.insert(0, tests)
    from instruct.conftest import Played
    from instruct.test_synthesize import run
    class Killed(Played):
        num_rows = 1
        def answer(self, requests):
            if len(self.asked) >= int(number):
                os.kill(os.getpid(), signal.SIGKILL)
            completions = super().answer(requests)
            with open(log, "a") as file:
                file.write(f"{self.asked[-1]!r}\\n")
            return completions
    run(Path(ledger), Killed())
"""


@pytest.mark.parametrize("asks", [1, 3, 5])
def test_after_kill_9_what_was_answered_is_not_asked_again(path: Path, asks: int, tmp_path: Path, whole: Whole) -> None:
    log = tmp_path / "asked"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(Path(__file__).parents[1]), path, log, str(asks)]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    answered = log.read_text().splitlines()
    assert len(answered) == asks
    heir = Played()
    summary = run(path, heir)
    assert summary.funnel == whole.summary.funnel
    assert sorted([*answered, *map(repr, heir.asked)]) == whole.asked
    assert outcomes(path) == whole.outcomes


def test_a_bound_of_tokens_ends_asking_and_a_larger_one_goes_on(path: Path, played: Played) -> None:
    first = run(path, played, bounds=Bounds(max_tokens=60))
    assert first.funnel["unfinished"] > 0
    assert 60 <= first.num_tokens < 3 * (20 + 40)
    asked = len(played.asked)
    second = run(path, played, bounds=Bounds(max_tokens=10_000))
    assert second.funnel[KEPT] == 3
    assert len(played.asked) == 6
    assert asked < 6


def test_a_bound_of_questions(path: Path, played: Played) -> None:
    assert sum(run(path, played, bounds=Bounds(max_questions=2)).funnel.values()) == 2
    assert run(path, played, bounds=Bounds(max_questions=3)).funnel[KEPT] == 3
    assert len(played.asked) == 6


def test_a_ledger_with_other_settings_is_refused(path: Path, played: Played) -> None:
    run(path, played, [ADD])
    with pytest.raises(ChakuError, match=r"model was .*played.*other"):
        run(path, Played("other"), [ADD])
    with pytest.raises(ChakuError, match=r"near_duplicates was 0\.7, is now 0\.5"):
        run(path, played, [ADD], near_duplicates=0.5)
    path.with_name("no.sqlite").write_text("this is no ledger, " * 100)
    with pytest.raises(ChakuError, match="cannot be used as a ledger"):
        run(path.with_name("no.sqlite"), played, [ADD])


def test_what_the_sandbox_failed_on_is_no_verdict(path: Path, played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    from chaku.sandbox import pool

    broken = Verdict("sandbox_error", "it broke", None, 0, 0, 0, "", "")
    with monkeypatch.context() as patch:
        patch.setattr(pool._Workers, "verdict", lambda *arguments: broken)
        with pytest.raises(ChakuError, match="it broke"):
            run(path, played, [ADD])
    assert outcomes(path) == {ADD: None}
    assert run(path, played, [ADD]).funnel[KEPT] == 1


def test_given_tests_are_used_and_held_to_the_same_standard(path: Path, played: Played) -> None:
    good = given_suite([f"assert {test}" for test in QUESTIONS[ADD][2]], "add", "here")
    weak = given_suite(["assert turn('a') == 'a'"], "turn", "here")
    questions = [Question(ADD, "here", good), Question(TURN, "here", weak)]
    synthesize(path, played, SETTINGS, questions=questions)
    assert outcomes(path) == {ADD: KEPT, TURN: "no tests that count"}
    assert {ask.kind for ask in played.asked} == {"solutions"}


def test_tampering_shows(path: Path, played: Played) -> None:
    run(path, played, [ADD])
    data = sqlite3.connect(path)
    data.execute("UPDATE run SET verdict = replace(verdict, '\"passed\"', '\"failed\"') WHERE kind = 'solution'")
    data.execute("UPDATE run SET job = replace(job, 'return', 'return 1 +') WHERE kind = 'mutant'")
    data.commit()
    data.close()
    with Ledger(path) as ledger:
        problems = "\n".join(verify(ledger, 1000).problems)
    assert "its solution did not pass" in problems
    assert "was failed" in problems
    assert "its key does not match its content" in problems


def test_pairs_are_of_matched_length_and_what_behaves_like_a_benchmark_is_left_out(
    path: Path, played: Played, tmp_path: Path
) -> None:
    from chaku.sandbox.verdict import Job

    short, long = "def add(a, b):\n    return a - b\n", "def add(a, b):\n" + 9 * "    a = a\n" + "    return a - b\n"
    right = QUESTIONS[ADD][1]
    played.solutions[ADD] = lambda number: [long, short, f"def add(a, b):\n    return {right}\n", ""][number]
    run(path, played)
    job = Job("", tests=("assert backwards('abc') == 'cba'",), entry_point="backwards")
    with Ledger(path) as ledger:
        counts = export(ledger, tmp_path / "out", Contamination([Problem("bench 7", "", (), job)]))
    assert counts["left_out"] == 1
    pairs = [json.loads(line) for line in (tmp_path / "out" / "preferences.jsonl").read_text().splitlines()]
    [pair] = [pair for pair in pairs if pair["prompt"][0]["content"] == ADD]
    assert "return a + b" in pair["chosen"]
    assert pair["rejected"] == f"```python\n{short}```"
    assert TURN not in (tmp_path / "out" / "sft.jsonl").read_text()
    report = json.loads((tmp_path / "out" / "contamination.json").read_text())
    assert report["behaviour"] == [{"question": TURN, "benchmark": ["bench 7"]}]
    card = (tmp_path / "out" / "card.md").read_text()
    assert "| behaviour: the solution passes a problem's tests | 1 |" in card
    assert "| kept | 3 |" in card


def test_questions_from_files(tmp_path: Path) -> None:
    lines = tmp_path / "questions.txt"
    lines.write_text("One?\n\n Two? \n")
    assert [(row.text, row.source) for row in read_file(lines)] == [
        ("One?", "questions.txt:1"),
        ("Two?", "questions.txt:3"),
    ]
    rows = tmp_path / "questions.jsonl"
    rows.write_text('{"question": "One?", "tests": ["assert f(1) == 2"]}\n{"question": "Two?"}\n')
    one, two = read_file(rows)
    assert one.suite is not None
    assert one.suite.entry_point == "f"
    assert two.suite is None
    for text, problem in (
        ('{"text": "x"}', "line 1 is no question"),
        ('{"question": "x", "tests": "y"}', "line 1: tests must be a list"),
        ('{"question": "x", "tests": ["f(1)"]}', "line 1: every test"),
    ):
        rows.write_text(text)
        with pytest.raises(ChakuError, match=problem):
            read_file(rows)
