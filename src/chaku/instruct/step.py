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
from chaku.settings import setting


@dataclass(frozen=True)
class Instruct:
    """A recipe's [instruct]. `stage` writes; sets whose path begins with {run}/instruct/ learn from it.

    `exercises`: rehearse with so many questions of the synthetic family; `full` with every arm. Without it, questions
    are those of a file, or the stage's own, and sft.jsonl and preferences.jsonl are what is kept.
    """

    stage: str
    exercises: int | None = setting(None, at_least=1)
    full: bool = True
    questions: str | None = None
    max_questions: int = setting(1000, at_least=1)
    max_tokens: int | None = setting(None, at_least=1)
    num_solutions: int = setting(10, at_least=1)

    def __post_init__(self) -> None:
        if self.exercises is not None and self.questions is not None:
            raise ChakuError("instruct needs `exercises` or `questions`, not both")


def run_instruct(
    settings: Instruct, engine: Engine, out: Path, seed: int, ledger_path: Path, purpose: str
) -> tuple[float, str]:
    """Write OUT's data sets. The ledger is kept: what was asked and run before, for any purpose, costs nothing.

    `purpose`: the fingerprint of all that the questions follow from.
    """
    with Ledger(ledger_path) as ledger:
        ledger.begin(purpose)
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
