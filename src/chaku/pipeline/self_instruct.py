"""Self-instruct as a step of a run: one stage writes data, and later stages train on it."""

from pathlib import Path

from chaku.console import say
from chaku.inference.engine import Engine
from chaku.instruct.config import InstructConfig
from chaku.instruct.contamination import available
from chaku.instruct.evidence import KEPT
from chaku.instruct.evolve import evolve
from chaku.instruct.export import export
from chaku.instruct.ledger import Ledger
from chaku.instruct.questions import read_file
from chaku.instruct.rehearsal import rehearse
from chaku.instruct.synthesize import Bounds, show_funnel, synthesize
from chaku.instruct.triples import Settings
from chaku.pipeline.run_directory import Work


def run_instruct(config: InstructConfig, engine: Engine, out: Path, seed: int, ledger_path: Path, purpose: str) -> Work:
    """Write data sets into `out`.

    `purpose`: the fingerprint of the inputs of the questions. The ledger keeps replies and verdicts of every purpose,
    so that none is made twice.
    """
    with Ledger(ledger_path) as ledger:
        ledger.begin(purpose)
    if config.exercises is not None:
        report = rehearse(engine, out, seed, config.exercises, ledger_path, config.num_solutions, full=config.full)
        return Work(report["num_samples"], "samples")
    benchmarks = available()
    summary = synthesize(
        ledger_path,
        engine,
        Settings(num_solutions=config.num_solutions, seed=seed, num_corrections=config.corrections),
        Bounds(config.max_questions, config.max_tokens),
        questions=read_file(Path(config.questions)) if config.questions else None,
        benchmarks=benchmarks,
    )
    show_funnel(summary.funnel)
    if config.evolve and not summary.funnel[KEPT]:
        say("no question was kept, so none is evolved")
    elif config.evolve:
        show_funnel(
            evolve(ledger_path, engine, config.evolve, max_tokens=config.max_tokens, benchmarks=benchmarks).funnel
        )
    with Ledger(ledger_path) as ledger:
        counts = export(ledger, out, benchmarks)
    return Work(counts["triples"], "triples")
