"""`chaku instruct verify`: whether a ledger's evidence holds."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from chaku.cli.shared.contamination import existing, ledger_argument
from chaku.cli.shared.options import json_option, ray_option, seed_option
from chaku.cli.shared.verb import verb
from chaku.errors import ChakuError


@verb("chaku instruct verify data.sqlite --sample 200")
@ledger_argument()
@click.option("--sample", type=int, default=100, help="Run so many of the recorded runs again.")
@seed_option()
@ray_option()
@json_option("Print the report as JSON.")
def instruct_verify(ledger: Path, sample: int, seed: int, as_json: bool) -> None:
    """Check a ledger's evidence, and run a sample of its runs again."""
    from chaku.instruct.ledger import Ledger
    from chaku.instruct.verify import verify

    with Ledger(existing(ledger)) as opened:
        report = verify(opened, sample, seed)
    if as_json:
        print(json.dumps(asdict(report)))
    else:
        print(f"{report.num_kept} triples are kept; {report.num_replayed} of {report.num_runs} runs were run again")
    if not report.problems and not as_json:
        print("every key, every triple's evidence and every repeated verdict is as the ledger says")
    if report.problems:
        shown = "\n  ".join(report.problems[:20])
        raise ChakuError(f"{ledger} does not hold: {len(report.problems)} problems\n  {shown}")
