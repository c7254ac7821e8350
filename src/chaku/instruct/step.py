"""Self-instruct as a step of a recipe: a stage writes, and later stages learn from what was kept."""

from dataclasses import dataclass
from pathlib import Path

from chaku.errors import ChakuError
from chaku.inference.engine import Engine
from chaku.instruct.contamination import available
from chaku.instruct.export import export
from chaku.instruct.generators import EngineGenerator
from chaku.instruct.ledger import Ledger
from chaku.instruct.questions import read_file
from chaku.instruct.rehearsal import rehearse
from chaku.instruct.synthesize import Bounds, show_funnel, synthesize
from chaku.instruct.triples import Settings


@dataclass(frozen=True)
class Instruct:
    """A recipe's [instruct]. `stage` writes; sets whose path begins with {run}/instruct/ learn from it.

    `exercises`: rehearse with so many questions of the synthetic family; `full` with every arm. Without it, questions
    are those of a file, or the stage's own, and sft.jsonl and preferences.jsonl are what is kept.
    """

    stage: str
    exercises: int | None = None
    full: bool = True
    questions: str | None = None
    max_questions: int = 1000
    max_tokens: int | None = None
    num_solutions: int = 10

    def __post_init__(self) -> None:
        if self.exercises is not None and self.questions is not None:
            raise ChakuError("instruct needs `exercises` or `questions`, not both")


def run_instruct(settings: Instruct, engine: Engine, out: Path, seed: int, fingerprint: str) -> tuple[float, str]:
    """Write OUT's data sets, from a ledger that belongs to these inputs; a killed step goes on with it."""
    ledger_path = out / f"ledger-{fingerprint[:12]}.sqlite"
    for stale in out.glob("ledger-*"):
        if not stale.name.startswith(ledger_path.name):
            stale.unlink()
    generator = EngineGenerator(engine)
    if settings.exercises is not None:
        report = rehearse(
            generator, out, seed, settings.exercises, ledger_path, settings.num_solutions, full=settings.full
        )
        return float(report["num_samples"]), "samples"
    benchmarks = available()
    summary = synthesize(
        ledger_path,
        generator,
        Settings(num_solutions=settings.num_solutions, seed=seed),
        Bounds(settings.max_questions, settings.max_tokens),
        questions=read_file(Path(settings.questions)) if settings.questions else None,
        benchmarks=benchmarks,
    )
    show_funnel(summary.funnel)
    with Ledger(ledger_path) as ledger:
        counts = export(ledger, out, benchmarks)
    return float(counts["triples"]), "triples"
