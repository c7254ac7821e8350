"""`chaku instruct evolve`: a ledger's kept questions, rewritten to be harder."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from chaku.cli.shared.contamination import against_option, benchmarks_to_avoid, existing
from chaku.cli.shared.loading import KEY, Loading, loading_options, served_argument
from chaku.cli.shared.options import PATH, at_least_one, json_option, no_sandbox_option, ray_option
from chaku.cli.shared.verb import verb
from chaku.cli.shared.writer import writer
from chaku.console import show_table


@verb("chaku instruct evolve qwen2.5-coder-0.5b-instruct --ledger data.sqlite --rounds 2", keeps="always")
@served_argument()
@click.option("--ledger", type=PATH, required=True, help="The ledger of chaku instruct synthesize; the same model.")
@click.option("--rounds", type=int, default=1, callback=at_least_one, help="Rewrite every kept question so many times.")
@click.option("--endpoint", metavar="URL", help=f"Ask an OpenAI-compatible server; {KEY}.")
@click.option(
    "--chat", is_flag=True, help="Prompt the model through its chat template; with --endpoint, use its chat API."
)
@click.option("--max-tokens", type=int, help="Ask nothing new when all answers together have so many tokens.")
@click.option("--workers", type=int, metavar="N", help="Run so many programs at a time; without it, one a core.")
@loading_options()
@against_option()
@ray_option()
@no_sandbox_option()
@json_option("Print a summary as JSON.")
def instruct_evolve(
    model: str,
    ledger: Path,
    rounds: int,
    endpoint: str | None,
    chat: bool,
    max_tokens: int | None,
    workers: int | None,
    loading: Loading,
    against: tuple[str, ...],
    unsafe_no_sandbox: bool,
    as_json: bool,
) -> None:
    """Rewrite the kept questions of a ledger to be harder; the ledger's own settings and checks judge them."""
    from chaku.instruct.evolve import by_operator, evolve
    from chaku.instruct.ledger import Ledger
    from chaku.instruct.synthesize import show_funnel

    summary = evolve(
        existing(ledger),
        writer(model, endpoint, chat, loading),
        rounds,
        max_tokens=max_tokens,
        num_workers=workers,
        isolated=not unsafe_no_sandbox,
        benchmarks=benchmarks_to_avoid(against),
    )
    show_funnel(summary.funnel)
    with Ledger(ledger) as opened:
        operators = by_operator(opened)
    show_table("operators", ["", "written", "kept"], [[name, *counts] for name, counts in operators.items()])
    if as_json:
        print(json.dumps({**asdict(summary), "operators": operators}))
