"""The way of one question to a triple: get and check tests, get solutions, correct them, accept the first that passes.

A way is a Python generator: it yields an `Ask` or `Runs`, and is sent the replies or verdicts. `scheduler.py` provides
them, and decides in which order.
"""

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chaku.instruct.asks import Ask, Reply
from chaku.instruct.contamination import Contamination, function_trees
from chaku.instruct.evidence import KEPT, Agreement, Evidence, MutationScore, Where
from chaku.instruct.mutants import mutants, nearby, probe
from chaku.instruct.prompts import Prompts, between
from chaku.instruct.suites import Suite, arguments_of, read_suite
from chaku.sandbox.verdict import Job, Verdict
from chaku.settings import setting

HASH_SEEDS = (1, 2)  # PYTHONHASHSEED of the second and third run; the first run has 0
MIN_MUTATION_SCORE = 0.8
MAX_ERROR = 400  # characters of an error in the prompt of a correction


@dataclass(frozen=True)
class Settings:
    """How triples are made. `max_tokens_each`: the most tokens of one reply with tests or a solution.

    `num_corrections`: where every solution fails, show the best with its error to the model, so many times in a row.
    """

    prompts: Prompts = field(default_factory=Prompts)
    num_solutions: int = 10
    temperature: float = 0.8
    top_p: float = 0.95
    max_tokens_each: int = 512
    seed: int = 0
    check_mutants: bool = True
    num_corrections: int = setting(0, added_later=True)

    def ask(self, kind: str, prompt: str, num_samples: int, stop: str) -> Ask:
        return Ask(
            kind,
            prompt,
            num_samples,
            self.max_tokens_each,
            self.temperature,
            self.top_p,
            (stop,) if stop else (),
            self.seed,
        )


@dataclass(frozen=True)
class Runs:
    """Jobs whose verdicts are needed together."""

    kind: str
    jobs: Sequence[Job]


@dataclass(frozen=True)
class Outcome:
    """The end of a question's way: "kept" or the reason of its rejection, and the evidence.

    `tests_ask`, `solutions_ask`, `corrections`, `jobs`: asks and runs whose keys the scheduler adds to the evidence.
    """

    where: Where
    evidence: Evidence
    tests_ask: Ask | None = None
    solutions_ask: Ask | None = None
    corrections: tuple[Ask, ...] = ()
    jobs: tuple[Job, ...] = ()


@dataclass(frozen=True)
class Parent:
    """The kept question that a question was evolved from.

    `same_function`: a right solution of the parent answers the new question too, which asks for it in other ways.
    """

    solution: str
    entry_point: str
    same_function: bool


Way = Generator[Ask | Runs, Any, Outcome]


def make_triple(
    question: str,
    given: Suite | None,
    settings: Settings,
    benchmarks: Contamination,
    parent: Parent | None = None,
) -> Way:
    """The whole way of a question. `given`: trusted tests, which must meet the same standard as a model's tests.

    A question with a `parent` adds nothing if the parent's solution passes its tests. Where both ask for the same
    function, it adds nothing if its solution is the parent's, except for names.
    """
    outcome = Outcome(KEPT, Evidence(tests_from="given" if given else "model"))

    def know(**more: Any) -> None:
        nonlocal outcome
        outcome = replace(outcome, evidence=replace(outcome.evidence, **more))

    def fell(where: Where) -> Outcome:
        return replace(outcome, where=where)

    suite = given
    if suite is None:
        ask = settings.ask("tests", settings.prompts.tests.format(question=question), 1, "[/TESTS]")
        outcome = replace(outcome, tests_ask=ask)
        replies: list[Reply] = yield ask
        suite = read_suite(between(replies[0].text, "TESTS"))
    know(entry_point=suite.entry_point, tests=suite.tests, prelude=suite.prelude)
    if weakness := suite.weakness():
        know(why=weakness)
        return fell("no tests that count")
    verdicts: list[Verdict] = yield Runs("stub", [_job(suite, stub) for stub in suite.stubs()])
    if any(verdict.passed for verdict in verdicts):
        return fell("a stub passes")
    if parent and not parent.same_function:
        verdicts = yield Runs("parent", [_job(suite, _renamed(parent, suite.entry_point))])
        if verdicts[0].passed:
            know(why="the parent's solution passes its tests")
            return fell("adds nothing")

    prompt = settings.prompts.solution.format(question=question, test=suite.tests[0])
    ask = settings.ask("solutions", prompt, settings.num_solutions, "[/PYTHON]")
    replies = yield ask
    tried = [between(reply.text, "PYTHON") for reply in replies]
    jobs = [_job(suite, program, stop_at_failure=False) for program in tried]
    verdicts = yield Runs("solution", jobs)
    know(agreement=agreement(verdicts, len(suite.tests)))
    corrections: list[Ask] = []
    corrected: list[int] = []
    errors: list[tuple[str, str]] = []
    current = max(range(len(verdicts)), key=lambda at: _num_passed(verdicts[at]))
    while not verdicts[current].passed and len(corrections) < settings.num_corrections:
        test, error = _first_error(suite, verdicts[current])
        shown = {"program": tried[current].rstrip(), "test": test, "error": error}
        prompt = settings.prompts.correction.format(question=question, **shown)
        corrections.append(settings.ask("correction", prompt, 1, "[/PYTHON]"))
        corrected.append(current)
        errors.append((test, error))
        replies = yield corrections[-1]
        tried.append(between(replies[0].text, "PYTHON"))
        jobs.append(_job(suite, tried[-1], stop_at_failure=False))
        more: list[Verdict] = yield Runs("correction", jobs[-1:])
        verdicts = [*verdicts, *more]
        current = len(tried) - 1
    passed = tuple(verdict.passed for verdict in verdicts)
    outcome = replace(outcome, solutions_ask=ask, corrections=tuple(corrections), jobs=tuple(jobs))
    know(solutions=tuple(tried), passed=passed, corrected=tuple(corrected), errors=tuple(errors))
    if not any(passed):
        return fell("no solution passes")
    accepted = passed.index(True)
    solution = tried[accepted]
    know(accepted=accepted)
    again: list[Verdict] = yield Runs(
        "hash seed", [_job(suite, solution, stop_at_failure=False, hash_seed=seed) for seed in HASH_SEEDS]
    )
    if any(verdict.tests != verdicts[accepted].tests for verdict in again):
        return fell("tests or solution are flaky")
    if settings.check_mutants:
        score = yield from mutation_score(suite, solution)
        know(mutation=score)
        if score.of and score.killed < MIN_MUTATION_SCORE * score.of:
            return fell("mutants survive")
    if parent and parent.same_function and _trees(solution) & _trees(parent.solution):
        know(why="its solution is the parent's")
        return fell("adds nothing")
    if found := benchmarks.solution(solution):
        know(benchmark=found)
        return fell("solution is a benchmark's")
    return outcome


def mutation_score(suite: Suite, solution: str) -> Generator[Runs, list[Verdict], MutationScore]:
    """The share of mutants that fail the tests, among mutants that behave differently on inputs near the tests' inputs.

    A mutant that behaves like the solution on all these inputs counts as equal to the solution: no test could kill it.
    """
    changed = mutants(solution)
    verdicts = yield Runs("mutant", [_job(suite, mutant) for mutant in changed])
    alive = [mutant for mutant, verdict in zip(changed, verdicts, strict=True) if verdict.passed]
    equal = 0
    inputs = nearby(arguments_of(suite))
    if alive and inputs:
        probes = [Job(probe(source, suite.entry_point, inputs)) for source in [solution, *alive]]
        first, *others = yield Runs("probe", probes)
        equal = sum(other.passed and other.stdout == first.stdout for other in others)
    return MutationScore(killed=len(changed) - len(alive), of=len(changed) - equal, equal=equal)


def agreement(verdicts: Sequence[Verdict], num_tests: int) -> Agreement:
    """CodeT's score: solutions that pass the same tests form a group; its score is its size times the tests it passes.

    The score is recorded, but decides nothing.
    """
    groups = Counter(tuple(not reason for reason in verdict.tests) for verdict in verdicts)
    worth = {group: size * sum(group) for group, size in groups.items()}
    return Agreement(passing=worth.get((True,) * num_tests, 0), best=max(worth.values(), default=0))


def _num_passed(verdict: Verdict) -> int:
    return sum(not reason for reason in verdict.tests)


def _first_error(suite: Suite, verdict: Verdict) -> tuple[str, str]:
    """The first test that a program failed, and the error; for a program that did not reach its tests, the first."""
    ran = verdict.tests
    failed = next((at for at, reason in enumerate(ran) if reason), min(len(ran), len(suite.tests) - 1))
    error = ran[failed] if failed < len(ran) and ran[failed] else verdict.reason
    return suite.tests[failed], error[:MAX_ERROR]


def _renamed(parent: Parent, entry_point: str) -> str:
    """The parent's solution, whose function is known as `entry_point` too."""
    return f"{parent.solution}\n{entry_point} = {parent.entry_point}\n"


def _trees(source: str) -> set[str]:
    return set(function_trees(source))


def _job(suite: Suite, source: str, *, stop_at_failure: bool = True, hash_seed: int = 0) -> Job:
    return Job(
        source,
        tests=suite.tests,
        prelude=suite.prelude,
        entry_point=suite.entry_point,
        keep_output=1,
        stop_at_failure=stop_at_failure,
        hash_seed=hash_seed,
    )
