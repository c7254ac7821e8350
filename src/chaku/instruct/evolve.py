"""Evolution: the kept questions of a ledger are rewritten to be harder, and judged by the same checks (Evol-Instruct).

Evol-Instruct lets a model say whether a rewritten question adds something. Here the sandbox says it: a question adds
nothing if its parent's solution passes its tests.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from chaku.console import progress, say
from chaku.errors import ChakuError
from chaku.inference.generator import Generator
from chaku.instruct.contamination import Contamination
from chaku.instruct.evidence import KEPT, LedgerQuestion
from chaku.instruct.ledger import Ledger
from chaku.instruct.operators import BY_NAME, Origin, choose, origin
from chaku.instruct.prompts import read_question
from chaku.instruct.questions import Question
from chaku.instruct.scheduler import Scheduler, Summary
from chaku.instruct.sieve import sieve
from chaku.instruct.synthesize import Bounds, claim, funnel
from chaku.instruct.triples import Parent, Settings, Way, make_triple
from chaku.plain import from_plain


def evolve(
    ledger_path: Path,
    generator: Generator,
    rounds: int,
    *,
    max_tokens: int | None = None,
    num_workers: int | None = None,
    isolated: bool = True,
    benchmarks: Contamination | None = None,
) -> Summary:
    """Rewrite the ledger's kept questions `rounds` times, with the settings that the ledger was begun with.

    In a round, every kept question without a kept child is rewritten once by an operator that a hash chooses. A call
    that was killed goes on when called again. `max_tokens`: see `Bounds`. Raises ChakuError for a ledger without kept
    questions, that was begun with another model or without `isolated`, or that is in use.
    """
    benchmarks = benchmarks or Contamination([])
    with Ledger(ledger_path) as ledger:
        settings, bounds, threshold = _begun_with(ledger)
        bounds = replace(bounds, max_tokens=max_tokens, num_workers=num_workers, isolated=isolated)
        claim(ledger, settings, generator, bounds, benchmarks, threshold)
        if not any(question.outcome == KEPT for question in ledger.questions()):
            raise ChakuError(f"{ledger_path} has no kept question to evolve; run chaku instruct synthesize on it first")
        with bounds.pool() as pool:
            scheduler = Scheduler(ledger, generator, pool, bounds.limits, bounds.max_tokens)
            for number in range(1, rounds + 1):
                _round(number, scheduler, settings, benchmarks, threshold)
                if scheduler.out_of_tokens:
                    break
        evolved = {question.source for question in ledger.questions() if origin(question.source)}
        repeats = sum(ledger.total(_repeats(number)) for number in range(1, rounds + 1))
        return scheduler.summary({**funnel(ledger, evolved), "exact duplicate": repeats})


def _begun_with(ledger: Ledger) -> tuple[Settings, Bounds, float]:
    """The settings of the ledger's synthesis, its limits, and its threshold of near-duplicates."""
    record = ledger.settings()
    if "settings" not in record or "limits" not in record:
        raise ChakuError(f"{ledger.path} has no synthesis to go on from; run chaku instruct synthesize on it first")
    settings = from_plain(Settings, record["settings"], str(ledger.path))
    return settings, from_plain(Bounds, record["limits"], str(ledger.path)), record["near_duplicates"]


def _round(number: int, scheduler: Scheduler, settings: Settings, benchmarks: Contamination, threshold: float) -> None:
    ledger = scheduler.ledger
    parents = _parents(list(ledger.questions()), number)
    children = list(_rewrite(parents, number, scheduler, settings))
    before = [question for question in ledger.questions() if _round_of(question) < number]
    fresh = _without_repeats(children, {question.key for question in before})
    ledger.set_total(_repeats(number), len(children) - len(fresh))
    ledger.add_questions([(child.key, child.text, child.source) for child in fresh])
    fallen = sieve(fresh, benchmarks, threshold, before)
    done = {question.key for question in ledger.questions() if question.outcome}
    ledger.set_outcomes([(key, where, why) for key, (where, why) in fallen.items() if key not in done])
    by_key = {parent.key: parent for parent in parents}
    left = [child for child in fresh if child.key not in fallen]

    def ways() -> Iterator[tuple[str, Way]]:
        for child in left:
            if child.key not in done:
                yield child.key, make_triple(child.text, None, settings, benchmarks, _parent(child, by_key))

    with progress(f"round {number}", len(left), "questions", initial=sum(child.key in done for child in left)) as bar:
        scheduler.run(ways(), bar)
    if scheduler.out_of_tokens:
        say("--max-tokens is reached; pass a larger number to continue")


def _parents(questions: Sequence[LedgerQuestion], number: int) -> list[LedgerQuestion]:
    """The kept questions of earlier rounds that have no kept child there."""
    earlier = [question for question in questions if question.outcome == KEPT and _round_of(question) < number]
    with_child = {found.parent for question in earlier if (found := origin(question.source))}
    return [question for question in earlier if question.key not in with_child]


def _rewrite(
    parents: Sequence[LedgerQuestion], number: int, scheduler: Scheduler, settings: Settings
) -> Iterator[Question]:
    operators = [choose(settings.seed, parent.key, number) for parent in parents]
    template = settings.prompts.evolve
    settings = replace(settings, seed=settings.seed + number)  # a parent whose child fell gets another reply
    asks = [
        settings.ask("evolve", template.format(question=parent.text, demand=operator.demand), 1, "[/QUESTION]")
        for parent, operator in zip(parents, operators, strict=True)
    ]
    for parent, operator, replies in zip(parents, operators, scheduler.answer(asks), strict=False):
        yield Question(read_question(replies[0].text), str(Origin(number, operator.name, parent.key)))


def _without_repeats(children: Sequence[Question], earlier: set[str]) -> list[Question]:
    """The first child of each key that no earlier question has."""
    by_key: dict[str, Question] = {}
    for child in children:
        if child.key not in earlier:
            by_key.setdefault(child.key, child)
    return list(by_key.values())


def _parent(child: Question, by_key: Mapping[str, LedgerQuestion]) -> Parent:
    about = origin(child.source)
    assert about is not None
    evidence = by_key[about.parent].evidence
    return Parent(evidence.solution, evidence.entry_point, BY_NAME[about.operator].same_function)


def _round_of(question: LedgerQuestion) -> int:
    found = origin(question.source)
    return found.round if found else 0


def _repeats(number: int) -> str:
    return f"round {number}: exact duplicate"


def by_operator(ledger: Ledger) -> dict[str, tuple[int, int]]:
    """For each operator, how many questions it wrote, and how many of them were kept."""
    written: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for question in ledger.questions():
        if found := origin(question.source):
            written[found.operator] += 1
            kept[found.operator] += question.outcome == KEPT
    return {name: (written[name], kept[name]) for name in BY_NAME}
