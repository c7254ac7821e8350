"""Self-instruct with execution feedback (Code Llama, 2.5): makes questions, tests and solutions in one ledger."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaku.console import progress, say, short, show_table
from chaku.inference.generator import Generator
from chaku.instruct.contamination import Contamination
from chaku.instruct.evidence import EVOLVED, FALLS, KEPT
from chaku.instruct.inspire import Snippet, ask_inspired
from chaku.instruct.ledger import Ledger
from chaku.instruct.questions import Question, ask_questions, first_of_each
from chaku.instruct.scheduler import Scheduler, Summary
from chaku.instruct.sieve import sieve
from chaku.instruct.triples import Settings, Way, make_triple
from chaku.manifest import versions
from chaku.plain import result_settings
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

    def pool(self) -> Pool:
        """A sandbox with these limits."""
        return Pool(
            timeout=self.timeout, memory_mb=self.memory_mb, num_workers=self.num_workers, isolated=self.isolated
        )


def synthesize(
    ledger_path: Path,
    generator: Generator,
    settings: Settings,
    bounds: Bounds = Bounds(),
    *,
    questions: Sequence[Question] | None = None,
    seeds: Sequence[str] = (),
    snippets: Sequence[Snippet] = (),
    benchmarks: Contamination | None = None,
    near_duplicates: float = 0.7,
) -> Summary:
    """Make triples (question, tests, solution) in a ledger, or continue a ledger. Without `questions`, the model writes
    the questions: one for each of `snippets`, or lists of them, in the spirit of `seeds`.

    A synthesis that was killed and is called again does not repeat earlier asks and runs. Raises ChakuError for a
    ledger with other settings, and for errors of the model, the sandbox and the disk.
    """
    benchmarks = benchmarks or Contamination([])
    with Ledger(ledger_path) as ledger, bounds.pool() as pool:
        claim(ledger, settings, generator, bounds, benchmarks, near_duplicates)
        scheduler = Scheduler(ledger, generator, pool, bounds.limits, bounds.max_tokens)
        came = list(questions) if questions is not None else []
        if questions is None:
            lists = ask_questions(scheduler, settings, bounds.max_questions, seeds)
            with progress("questions", bounds.max_questions, "questions") as bar:
                seen = set()
                for question in ask_inspired(scheduler, settings, snippets) if snippets else lists:
                    came.append(question)
                    bar.advance(question.key not in seen)  # the limit counts different questions
                    seen.add(question.key)
        chosen, num_exact = first_of_each(came)
        chosen = chosen[: bounds.max_questions]
        ledger.add_questions([(question.key, question.text, question.source) for question in chosen])
        ledger.set_total("exact duplicate", num_exact)
        fallen = sieve(chosen, benchmarks, near_duplicates)
        left = [question for question in chosen if question.key not in fallen]
        done = {question.key for question in ledger.questions() if question.outcome}
        ledger.set_outcomes([(key, where, evidence) for key, (where, evidence) in fallen.items() if key not in done])

        def ways() -> Iterator[tuple[str, Way]]:
            for question in left:
                if question.key not in done:
                    yield question.key, make_triple(question.text, question.suite, settings, benchmarks)

        num_before = sum(question.key in done for question in left)
        with progress("synthesize", len(left), "questions", initial=num_before) as bar:
            scheduler.run(ways(), bar)
        if scheduler.out_of_tokens:
            say(f"--max-tokens is reached: {short(scheduler.num_tokens)} tokens; pass a larger number to continue")
        return scheduler.summary(funnel(ledger, {question.source for question in chosen}))


def claim(
    ledger: Ledger,
    settings: Settings,
    generator: Generator,
    bounds: Bounds,
    benchmarks: Contamination,
    near_duplicates: float,
) -> None:
    """Record what the outcomes in the ledger follow from. Raises ChakuError when it was begun with something else."""
    ledger.claim(
        {
            "settings": result_settings(settings),
            "model": dict(generator.identity),
            "limits": bounds.limits,
            "near_duplicates": near_duplicates,
            "benchmarks": len(benchmarks.problems),
            "versions": versions(),
        }
    )


def funnel(ledger: Ledger, sources: Collection[str] | None = None) -> dict[str, int]:
    """The number of questions that each check rejected, in order; then "kept" and "unfinished".

    `sources`: count the questions of these sources alone.
    """
    chosen = (question for question in ledger.questions() if sources is None or question.source in sources)
    fell: Counter[str] = Counter(question.outcome or UNFINISHED for question in chosen)
    fell["exact duplicate"] = ledger.total("exact duplicate")
    return {name: fell[name] for name in (*FALLS, KEPT, UNFINISHED)}


def show_funnel(funnel: Mapping[str, int]) -> None:
    """Print the funnel as a table: for each check, the questions that it rejected, and the questions that are left."""
    left = sum(funnel.values())
    rows: list[list[object]] = [["questions", "", left, "100%"]]
    total = max(left, 1)
    for name in FALLS:
        if name in EVOLVED and not funnel[name]:
            continue
        left -= funnel[name]
        rows.append([name, funnel[name], left, f"{left / total:.0%}"])
    if funnel[UNFINISHED]:
        left -= funnel[UNFINISHED]
        rows.append([UNFINISHED, funnel[UNFINISHED], left, f"{left / total:.0%}"])
    show_table("funnel", ["", "rejected", "left", ""], rows)
