"""`chaku instruct export`: a ledger as training data."""

import json
from pathlib import Path
from typing import Literal

import click

from chaku.cli.shared.contamination import against_option, benchmarks_to_avoid, existing, ledger_argument
from chaku.cli.shared.options import PATH, json_option, no_sandbox_option
from chaku.cli.shared.verb import verb


@verb("chaku instruct export data.sqlite --out data")
@ledger_argument()
@click.option("--out", type=PATH, required=True, help="The directory of the data, new or made by chaku.")
@click.option(
    "--form",
    type=click.Choice(["fenced", "plain"]),
    default="fenced",
    help="Write the code of an answer in a fence, or plain.",
)
@against_option()
@no_sandbox_option()
@json_option("Print the counts as JSON.")
def instruct_export(
    ledger: Path,
    out: Path,
    form: Literal["fenced", "plain"],
    against: tuple[str, ...],
    unsafe_no_sandbox: bool,
    as_json: bool,
) -> None:
    """Write a ledger's conversations, preference pairs and data card."""
    from chaku.instruct.export import export
    from chaku.instruct.ledger import Ledger
    from chaku.ownership import make_ours

    with Ledger(existing(ledger)) as opened:
        make_ours(out, "data set")
        counts = export(opened, out, benchmarks_to_avoid(against), form=form, isolated=not unsafe_no_sandbox)
    words = f"{counts['triples']} conversations, {counts['pairs']} pairs in {out}; {counts['left_out']} left out"
    print(json.dumps(counts) if as_json else words)
