"""The rehearsal with a played model: every arm is what its name says, and the rates are counted right."""

import json
import random
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest

from chaku.inference.generator import Completion, Request, TextPrompt
from chaku.instruct.rehearsal import NUM_MORE, NUM_TESTS, rehearse
from chaku.synthetic.exercises import FINE_TUNING_FRAMES, exercises
from instruct.conftest import kind_of

NUMBER, SEED = 12, 5


class Habitual:
    """Writes as the corpus has it; its tests are right for every other question."""

    num_rows, num_threads, tokenizer, context = 64, 1, None, None

    def __init__(self) -> None:
        self.identity = self.record = {"model": "habitual"}
        made = exercises("questions", SEED, held_out=False, num_tests=NUM_TESTS + NUM_MORE, frames=FINE_TUNING_FRAMES)
        self.by_question = {question.question: question for question in islice(made, NUMBER)}
        self.num_asked = 0

    def check(self, request: Request) -> None:
        pass

    def answer(self, requests: Sequence[Request]) -> list[Completion]:
        self.num_asked += sum(request.sample == 0 for request in requests)
        return [Completion(self._text(request), 9, "stop") for request in requests]

    def _text(self, request: Request) -> str:
        assert isinstance(request.prompt, TextPrompt)
        prompt, num_samples = request.prompt.text, request.params.num_samples
        exercise = next(exercise for question, exercise in self.by_question.items() if question in prompt)
        if kind_of(prompt) == "tests":
            wrong = list(self.by_question).index(exercise.question) % 2
            tests = [test.replace("== ", "== [") + "]" if wrong else test for test in exercise.tests[:NUM_TESTS]]
            return "\n".join(tests)
        draw = random.Random(exercise.question)
        codes = [exercise.usual(draw) for _ in range(num_samples - 2)]
        return " " + ["def f(xs):\n    return xs.nothing\n", *codes, exercise.code][request.sample]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, Habitual]:
    out, model = tmp_path_factory.mktemp("rehearsal"), Habitual()
    return out, rehearse(model, out, SEED, NUMBER, out / "ledger.sqlite", 5, full=True), model


def arm(out: Path, name: str) -> dict[str, str]:
    rows = [json.loads(line)["messages"] for line in (out / f"{name}.jsonl").read_text().splitlines()]
    return {question["content"]: answer["content"] for question, answer in rows}


def passes(code: str, tests: Sequence[str]) -> bool:
    names: dict[str, object] = {}
    exec(code, names)
    try:
        for test in tests:
            exec(test, names)
    except Exception:
        return False
    return True


def test_arms_are_what_their_names_say(run: tuple[Path, dict, Habitual]) -> None:
    out, _, model = run
    by = model.by_question
    trusted = {question: value.tests[:NUM_TESTS] for question, value in by.items()}
    assert all(passes(code, trusted[question]) for question, code in arm(out, "first_pass").items())
    assert not any(passes(code, trusted[question]) for question, code in arm(out, "failures").items())
    assert all(passes(code, trusted[question][:1]) for question, code in arm(out, "one_test").items())
    assert all("nothing" in code for code in arm(out, "random").values())
    assert not any("nothing" in code for code in arm(out, "no_error").values())
    assert not any("nothing" in code for code in arm(out, "majority").values())
    assert all(code == by[question].code for question, code in arm(out, "reference").items())
    assert set(arm(out, "continued")).isdisjoint(by)
    assert all(passes(code, trusted[question]) for question, code in arm(out, "model_tests").items())
    right_tests = set(list(by)[::2])
    assert set(arm(out, "model_tests")) <= right_tests


def test_equal_arms_are_equal_and_the_report_counts(run: tuple[Path, dict, Habitual]) -> None:
    out, report, _ = run
    arms = report["arms"]
    equal = ("first_pass", "one_test", "random", "majority", "no_error", "failures", "reference", "continued")
    assert len({arms[name]["taken"] for name in equal}) == 1
    assert all(arms[name]["taken"] == len(arm(out, name)) for name in arms)
    assert arms["reference"]["truly_correct"] == 1.0
    assert arms["failures"]["truly_correct"] == 0.0
    assert arms["continued"]["truly_correct"] is None
    assert arms["first_pass"]["truly_correct"] >= arms["one_test"]["truly_correct"] >= arms["random"]["truly_correct"]
    assert report["num_samples"] == 5 * NUMBER
    rates = report["rates_five_tests"]
    assert rates["false_reject"] == 0.0
    assert rates["false_accept"] <= report["rates_one_test"]["false_accept"]
    assert report["funnels"]["trusted tests"]["no solution passes"] == 0
    assert report["model_asserts"] == {"number": NUM_TESTS * NUMBER, "right": 0.5}
    assert 0.3 < report["rates_model_tests"]["false_reject"] < 0.7


def test_pairs_hold_a_pass_and_a_failure(run: tuple[Path, dict, Habitual]) -> None:
    out, report, model = run
    pairs = [json.loads(line) for line in (out / "preferences.jsonl").read_text().splitlines()]
    assert len(pairs) == report["num_pairs"] > 0
    for pair in pairs:
        tests = model.by_question[pair["prompt"][0]["content"]].tests[:NUM_TESTS]
        assert passes(pair["chosen"], tests)
        assert not passes(pair["rejected"], tests)


def test_the_models_tests_cost_no_second_solutions_and_a_second_call_costs_nothing(
    run: tuple[Path, dict, Habitual],
) -> None:
    out, report, model = run
    assert model.num_asked == 2 * NUMBER  # solutions once, tests once
    again = rehearse(model, out, SEED, NUMBER, out / "ledger.sqlite", 5, full=True)
    assert model.num_asked == 2 * NUMBER
    del report["seconds"], again["seconds"]
    assert again == report


def test_the_short_form_needs_fewer_runs(tmp_path: Path) -> None:
    report = rehearse(Habitual(), tmp_path, SEED, 4, tmp_path / "ledger.sqlite", 3, full=False)
    assert {"first_pass", "random"} <= set(report["arms"])
    assert not {"kept", "majority", "model_tests"} & set(report["arms"])
