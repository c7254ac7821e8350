"""Self-instruct with execution feedback (Code Llama, 2.5): makes questions, tests and solutions in one ledger."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaku.console import progress, say, short, show_table
from chaku.inference.generator import Generator
from chaku.instruct.contamination import Contamination
from chaku.instruct.evidence import FALLS, KEPT, Evidence, Where
from chaku.instruct.ledger import Ledger
from chaku.instruct.near_duplicates import NearDuplicates
from chaku.instruct.questions import Question, ask_questions, first_of_each
from chaku.instruct.scheduler import Scheduler, Times
from chaku.instruct.triples import Settings, Way, make_triple
from chaku.manifest import versions
from chaku.sandbox.pool import Pool

UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Bounds:
    """What a synthesis may cost.

    `max_tokens`: of all replies together; replies that are being written at the limit are finished. `timeout`: seconds
    for one program.
    """

    max_questions: int = 1000
    max_tokens: int | None = None
    timeout: float = 3.0
    memory_mb: int = 1024
    num_workers: int | None = None
    isolated: bool = True

    @property
    def limits(self) -> dict[str, Any]:
        """The limits of a run, which its verdict depends on."""
        return {"timeout": self.timeout, "memory_mb": self.memory_mb, "isolated": self.isolated}


@dataclass(frozen=True)
class Summary:
    """Counts of a synthesis. `funnel`: see the function. `asked`, `run`: asks and runs that were not in the ledger."""

    funnel: Mapping[str, int]
    num_tokens: int
    asked: int
    run: int
    times: Times


def synthesize(
    ledger_path: Path,
    generator: Generator,
    settings: Settings,
    bounds: Bounds = Bounds(),
    *,
    questions: Sequence[Question] | None = None,
    seeds: Sequence[str] = (),
    benchmarks: Contamination | None = None,
    near_duplicates: float = 0.7,
) -> Summary:
    """Make triples (question, tests, solution) in a ledger, or continue a ledger. Without `questions`, the model writes
    the questions.

    A synthesis that was killed and is called again does not repeat earlier asks and runs. Raises ChakuError for a
    ledger with other settings, and for errors of the model, the sandbox and the disk.
    """
    benchmarks = benchmarks or Contamination([])
    limits = bounds.limits
    with (
        Ledger(ledger_path) as ledger,
        Pool(
            timeout=bounds.timeout,
            memory_mb=bounds.memory_mb,
            num_workers=bounds.num_workers,
            isolated=bounds.isolated,
        ) as pool,
    ):
        ledger.claim(
            {
                "settings": asdict(settings),
                "model": dict(generator.identity),
                "limits": limits,
                "near_duplicates": near_duplicates,
                "benchmarks": len(benchmarks.problems),
                "versions": versions(),
            }
        )
        scheduler = Scheduler(ledger, generator, pool, limits, bounds.max_tokens)
        came = list(questions) if questions is not None else []
        if questions is None:
            with progress("questions", bounds.max_questions, "questions") as bar:
                for question in ask_questions(scheduler, settings, bounds.max_questions, seeds):
                    came.append(question)
                    bar.advance(1)
        chosen, num_exact = first_of_each(came)
        chosen = chosen[: bounds.max_questions]
        ledger.add_questions([(question.key, question.text, question.source) for question in chosen])
        ledger.set_total("exact duplicate", num_exact)
        fallen = list(_sieve(chosen, benchmarks, near_duplicates))
        ledger.set_outcomes([(question.key, where, evidence) for question, where, evidence in fallen if where])
        left = [question for question, where, _ in fallen if not where]
        done = {question.key for question in ledger.questions() if question.outcome}

        def ways() -> Iterator[tuple[str, Way]]:
            for question in left:
                if question.key not in done:
                    yield question.key, make_triple(question.text, question.suite, settings, benchmarks)

        num_before = sum(question.key in done for question in left)
        with progress("synthesize", len(left), "questions", initial=num_before) as bar:
            scheduler.run(ways(), bar)
        if scheduler.out_of_tokens:
            say(f"--max-tokens is reached: {short(scheduler.num_tokens)} tokens; pass a larger number to continue")
        sources = {question.source for question in chosen}
        return Summary(
            funnel(ledger, next(iter(sources)) if len(sources) == 1 else None),
            scheduler.num_tokens,
            scheduler.num_asked,
            scheduler.num_run,
            scheduler.times,
        )


def _sieve(
    questions: Sequence[Question], benchmarks: Contamination, near_duplicates: float
) -> Iterator[tuple[Question, Where | None, Evidence]]:
    """Check questions before the model answers them: (question, reason of rejection or None, evidence) for each."""
    seen = NearDuplicates(near_duplicates)
    for question in questions:
        if (found := benchmarks.question(question.text)) is not None:
            yield question, "shares words with a benchmark", Evidence(benchmark=found)
        elif (earlier := seen.add(question.key, question.text)) is not None:
            yield question, "near duplicate", Evidence(near=earlier)
        else:
            yield question, None, Evidence()


def funnel(ledger: Ledger, source: str | None = None) -> dict[str, int]:
    """The number of questions (of one source) that each check rejected, in order; then "kept" and "unfinished"."""
    chosen = (question for question in ledger.questions() if source in (None, question.source))
    fell: Counter[str] = Counter(question.outcome or UNFINISHED for question in chosen)
    fell["exact duplicate"] = ledger.total("exact duplicate")
    return {name: fell[name] for name in (*FALLS, KEPT, UNFINISHED)}


def show_funnel(funnel: Mapping[str, int]) -> None:
    """Print the funnel as a table: for each check, the questions that it rejected, and the questions that are left."""
    left = sum(funnel.values())
    rows: list[list[object]] = [["questions", "", left, "100%"]]
    total = max(left, 1)
    for name in FALLS:
        left -= funnel[name]
        rows.append([name, funnel[name], left, f"{left / total:.0%}"])
    if funnel[UNFINISHED]:
        left -= funnel[UNFINISHED]
        rows.append([UNFINISHED, funnel[UNFINISHED], left, f"{left / total:.0%}"])
    show_table("funnel", ["", "rejected", "left", ""], rows)
