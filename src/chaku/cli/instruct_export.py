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
@click.option(
    "--pass-rate",
    type=(float, float),
    default=(0.0, 1.0),
    metavar="LOW HIGH",
    help="Leave out questions that a smaller or larger share of the solutions solved; 0.1 0.9: neither hard nor easy.",
)
@against_option()
@no_sandbox_option()
@json_option("Print the counts as JSON.")
def instruct_export(
    ledger: Path,
    out: Path,
    form: Literal["fenced", "plain"],
    pass_rate: tuple[float, float],
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
        benchmarks = benchmarks_to_avoid(against)
        counts = export(opened, out, benchmarks, form=form, pass_rate=pass_rate, isolated=not unsafe_no_sandbox)
    left_out = counts["left_out"] + counts["too_easy_or_hard"]
    made = f"{counts['triples']} conversations, {counts['pairs']} pairs, {counts['corrections']} corrections"
    words = f"{made} in {out}; {left_out} left out"
    print(json.dumps(counts) if as_json else words)
