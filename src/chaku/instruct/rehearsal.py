"""A rehearsal of self-instruct on exercises with known solutions: one pool of samples, and a data set for each arm.

An arm is a rule that chooses samples from the pool. Arms share the model, the questions, the samples and the number of
examples, so their results show the value of execution feedback alone.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.files import write_json
from chaku.inference.generator import Generator
from chaku.instruct.evidence import KEPT, Evidence, Where
from chaku.instruct.export import preference
from chaku.instruct.ledger import Ledger
from chaku.instruct.mutants import probe
from chaku.instruct.prompts import Prompts
from chaku.instruct.questions import Question
from chaku.instruct.scheduler import Summary, run_all
from chaku.instruct.suites import Suite, arguments_of
from chaku.instruct.synthesize import Bounds, funnel, show_funnel, synthesize
from chaku.instruct.triples import Settings
from chaku.jsonl import write_lines
from chaku.sandbox.pool import Pool
from chaku.sandbox.verdict import Job, Verdict
from chaku.synthetic.exercises import CHAT, FINE_TUNING_FRAMES, PAGE, Exercise, exercises

NUM_TESTS, NUM_MORE = 5, 12  # asserts that judge a sample, and further asserts that decide whether it is truly right
GIVEN, WRITTEN = "trusted tests", "the model's tests"
PROMPTS = Prompts(tests=PAGE, solution=CHAT)  # the forms of the training corpus: a small model needs familiar prompts
TASKS = "tasks"  # the arm whose rows are prompts with tests, for GRPO
MAX_TOKENS = 160  # enough for five asserts, or for a solution
# These arms are cut to the same number of examples.
EQUAL = ("first_pass", "one_test", "random", "majority", "no_error", "failures", "reference", "continued")


@dataclass(frozen=True)
class _Row:
    """A question with its samples. `reasons`: the verdicts of the trusted tests. `right`: which samples are right."""

    exercise: Exercise
    outcome: Where
    evidence: Evidence
    reasons: Sequence[tuple[str, ...]]  # [sample][test]: why the test failed; empty for a test that passed
    right: Sequence[bool]


def rehearse(
    generator: Generator, out: Path, seed: int, num_questions: int, ledger_path: Path, num_solutions: int, full: bool
) -> dict[str, Any]:
    """Sample and judge solutions, choose examples for each arm, and write everything into `out`; returns the report.

    The files are ARM.jsonl for each arm, preferences.jsonl, tasks.jsonl (for GRPO) and report.json. Without `full`, the
    rehearsal skips mutants, the model's own tests, and the arms that need them or more runs. Raises ChakuError when
    some arm finds no sample.
    """
    made = exercises("questions", seed, held_out=False, num_tests=NUM_TESTS + NUM_MORE, frames=FINE_TUNING_FRAMES)
    by_text = {exercise.question: exercise for exercise in islice(made, num_questions)}
    settings = Settings(PROMPTS, num_solutions, 0.8, 1.0, MAX_TOKENS, seed, check_mutants=full)
    bounds = Bounds(num_questions, timeout=2.0)
    summaries = {}
    for source in (GIVEN, WRITTEN) if full else (GIVEN,):
        questions = [
            Question(text, source, Suite("f", value.tests[:NUM_TESTS]) if source == GIVEN else None)
            for text, value in by_text.items()
        ]
        # Many exercises differ in one number or word on purpose, so only equal sets of word triples are duplicates.
        summaries[source] = synthesize(
            ledger_path, generator, settings, bounds, questions=questions, near_duplicates=1.0
        )
        show_funnel(summaries[source].funnel)
    limits = bounds.limits
    with Ledger(ledger_path) as ledger, Pool(timeout=bounds.timeout, memory_mb=bounds.memory_mb) as pool:

        def run(kind: str, jobs: Sequence[Job]) -> list[Verdict]:
            return run_all(ledger, pool, limits, kind, jobs)

        rows = _rows(ledger, by_text, run)
        arms = _arms(rows, seed, run if full else None)
        report = _report(ledger, rows, summaries)
        if full:
            written = _written(ledger, by_text, {row.exercise.question: row for row in rows}, run)
            arms |= written.pop("arms")
            report |= written
    least = min((name for name in EQUAL if name in arms), key=lambda name: len(arms[name]))
    count = len(arms[least])
    if not count:
        raise ChakuError(
            f"the arm {least!r} found no sample: train the stage that writes for longer, or raise `exercises`"
        )
    report["arms"] = {}
    for name, chosen in arms.items():
        taken = random.Random(f"{name} {seed}").sample(chosen, count) if name in EQUAL else chosen
        write_lines(out / f"{name}.jsonl", [_conversation(exercise, text) for exercise, text, _ in taken])
        right = [known for _, _, known in taken if known is not None]
        share = sum(right) / len(right) if right else None
        report["arms"][name] = {"available": len(chosen), "taken": len(taken), "truly_correct": share}
    write_lines(out / f"{TASKS}.jsonl", [_task(row.exercise) for row in rows])
    pairs = [pair for row in rows if (pair := _pair(row)) is not None]
    write_lines(out / "preferences.jsonl", pairs)
    report["num_pairs"] = len(pairs)
    write_json(out / "report.json", report)
    return report


Chosen = tuple[Exercise, str, bool | None]  # a question, the answer, and whether it is right (None: not known)
Run = Callable[[str, Sequence[Job]], list[Verdict]]


def _rows(ledger: Ledger, by_text: Mapping[str, Exercise], run: Run) -> list[_Row]:
    """The questions with samples. All tests run on each sample, to find out whether it is truly right."""
    found = []
    for question in ledger.questions():
        if question.source == GIVEN and question.evidence.solutions and question.outcome is not None:
            verdicts = [ledger.verdict(key) for key in question.evidence.verdicts]
            reasons = [verdict.tests if verdict else () for verdict in verdicts]
            found.append(_Row(by_text[question.text], question.outcome, question.evidence, reasons, ()))
    right = iter(run("truth", [_true_job(row.exercise, text) for row in found for text in row.evidence.solutions]))
    return [replace(row, right=[next(right).passed for _ in row.evidence.solutions]) for row in found]


def _true_job(exercise: Exercise, source: str) -> Job:
    """A job that runs all NUM_TESTS + NUM_MORE tests: a sample that passes them is right."""
    return Job(source, tests=exercise.tests, entry_point="f", keep_output=1)


def _arms(rows: Sequence[_Row], seed: int, run: Run | None) -> dict[str, list[Chosen]]:
    """The examples of each arm, at most one a question."""
    draw = random.Random(f"continued {seed}")
    more = exercises("continued", seed, held_out=False, num_tests=NUM_TESTS, frames=FINE_TUNING_FRAMES)
    arms: dict[str, list[Chosen]] = {
        "reference": [(row.exercise, row.exercise.code, True) for row in rows],
        "continued": [(exercise, exercise.usual(draw), None) for exercise in islice(more, len(rows))],
    }

    def choose(name: str, accepts: Callable[[_Row, int], bool]) -> None:
        arms[name] = []
        for row in rows:
            texts = row.evidence.solutions
            number = next((at for at, text in enumerate(texts) if accepts(row, at) and _fits_chat(text)), None)
            if number is not None:
                arms[name].append((row.exercise, texts[number], row.right[number]))

    choose("first_pass", lambda row, at: row.evidence.passed[at])
    choose("one_test", lambda row, at: row.reasons[at][:1] == ("",))
    choose("random", lambda row, at: True)
    choose("no_error", lambda row, at: _no_error(row.reasons[at]))
    choose("failures", lambda row, at: not row.evidence.passed[at])
    if run is not None:
        choose("kept", lambda row, at: row.outcome == KEPT and at == row.evidence.accepted)
        majority = _majority(rows, run)
        choose("majority", lambda row, at: majority[row.exercise.question] == at)
    return arms


def _fits_chat(text: str) -> bool:
    """Whether the sample can be a chat reply: it is not empty, and does not begin another turn."""
    return bool(text.strip()) and "INST]" not in text


def _no_error(reasons: Sequence[str]) -> bool:
    """Whether every test ran, and every failure was an AssertionError: a wrong result, not a crash."""
    return len(reasons) == NUM_TESTS and all(not reason or reason.startswith("AssertionError") for reason in reasons)


def _majority(rows: Sequence[_Row], run: Run) -> dict[str, int | None]:
    """For each question, the index of the first sample that gives the most common results for the tests' inputs."""
    jobs = []
    for row in rows:
        inputs = list(arguments_of(Suite("f", row.exercise.tests[:NUM_TESTS])))
        jobs += [Job(probe(text, "f", inputs)) for text in row.evidence.solutions]
    verdicts = iter(run("probe", jobs))
    chosen: dict[str, int | None] = {}
    for row in rows:
        printed = [verdict.stdout if verdict.passed else None for verdict in islice(verdicts, len(row.right))]
        counts = Counter(text for text in printed if text is not None)
        chosen[row.exercise.question] = printed.index(counts.most_common(1)[0][0]) if counts else None
    return chosen


def _written(ledger: Ledger, by_text: Mapping[str, Exercise], rows: Mapping[str, _Row], run: Run) -> dict[str, Any]:
    """The arms that choose by the model's own tests, the share of its asserts that are right, and their error rates."""
    kept: list[Chosen] = []
    agreed: list[Chosen] = []
    pairs: list[tuple[bool, bool]] = []  # for each sample: (passes the model's tests, is right)
    suites: list[Job] = []
    for question in ledger.questions():
        if question.source != WRITTEN:
            continue
        evidence, code = question.evidence, by_text[question.text].code
        suites.append(Job(code, tests=evidence.tests, entry_point="f", stop_at_failure=False))
        row = rows.get(question.text)
        if not evidence.solutions or row is None:
            continue
        pairs += zip(evidence.passed, row.right, strict=True)
        if question.outcome == KEPT:
            assert evidence.accepted is not None
            kept.append((row.exercise, evidence.solution, row.right[evidence.accepted]))
        verdicts = [ledger.verdict(key) for key in evidence.verdicts]
        passes = [tuple(not reason for reason in verdict.tests) if verdict else () for verdict in verdicts]
        size = Counter(passes)
        worth = [size[passed] * sum(passed) for passed in passes]
        at = worth.index(max(worth))
        if worth[at] > 0 and _fits_chat(evidence.solutions[at]):
            agreed.append((row.exercise, evidence.solutions[at], row.right[at]))
    ran = run("the model's asserts", [job for job in suites if job.tests])
    asserts = [not reason for verdict in ran for reason in verdict.tests]
    return {
        "arms": {"model_tests": kept, "agreement": agreed},
        "model_asserts": {"number": len(asserts), "right": sum(asserts) / max(len(asserts), 1)},
        "rates_model_tests": _rates(pairs),
    }


def _report(ledger: Ledger, rows: Sequence[_Row], summaries: Mapping[str, Summary]) -> dict[str, Any]:
    samples = [(row, at) for row in rows for at in range(len(row.right))]
    times = next(iter(summaries.values())).times
    return {
        "num_questions": len(rows),
        "num_samples": len(samples),
        "truly_correct": sum(row.right[at] for row, at in samples) / max(len(samples), 1),
        "funnels": {source: funnel(ledger, {source}) for source in summaries},
        "rates_five_tests": _rates([(row.evidence.passed[at], row.right[at]) for row, at in samples]),
        "rates_one_test": _rates([(row.reasons[at][:1] == ("",), row.right[at]) for row, at in samples]),
        "seconds": {"generating": times.generating, "executing": times.executing, "both": times.both},
    }


def _rates(pairs: Sequence[tuple[bool, bool]]) -> dict[str, float | None]:
    """The error rates of tests that judged samples. `pairs`: (accepted, right) for each sample."""

    def share(of: Sequence[bool]) -> float | None:
        return sum(of) / len(of) if of else None

    return {
        "false_accept": share([accepted for accepted, right in pairs if not right]),
        "false_reject": share([not accepted for accepted, right in pairs if right]),
        "wrong_among_accepted": share([not right for accepted, right in pairs if accepted]),
    }


def _pair(row: _Row) -> dict[str, Any] | None:
    texts, passed = row.evidence.solutions, row.evidence.passed
    usable = [number for number, text in enumerate(texts) if _fits_chat(text)]
    if not any(passed[number] for number in usable):
        return None
    kept = tuple(passed[number] for number in usable)
    evidence = Evidence(solutions=tuple(texts[number] for number in usable), passed=kept, accepted=kept.index(True))
    return preference(row.exercise.question, row.exercise.question, evidence, "plain")


def _task(exercise: Exercise) -> dict[str, Any]:
    """A prompt for GRPO. Its first tests are the tests that choose the other arms; the further tests are hidden."""
    return {
        "messages": [{"role": "user", "content": exercise.question}],
        "entry_point": "f",
        "tests": exercise.tests[:NUM_TESTS],
        "hidden_tests": exercise.tests[NUM_TESTS:],
    }


def _conversation(exercise: Exercise, text: str) -> dict[str, Any]:
    turns = [{"role": "user", "content": exercise.question}, {"role": "assistant", "content": text}]
    return {"messages": turns, "signature": list(exercise.signature)}
