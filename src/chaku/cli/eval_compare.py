"""`chaku eval compare`: two results side by side."""

import json
from pathlib import Path

import click

from chaku.cli.shared.options import PATH, json_option
from chaku.cli.shared.verb import verb


@verb("chaku eval compare results/one results/two")
@click.argument("a", type=PATH, help="A directory that `chaku eval` wrote, or its results.json.")
@click.argument("b", type=PATH, help="The directory or results.json to compare it with.")
@click.option("--anyway", is_flag=True, help="Compare results that were not measured alike, and say so.")
@json_option()
def eval_compare(a: Path, b: Path, anyway: bool, as_json: bool) -> None:
    """Show two results side by side, and whether their difference may be chance."""
    from chaku.evals.compare import compare, read_scored
    from chaku.evals.in_words import comparison_in_lines

    comparison = compare(read_scored(a), read_scored(b), anyway=anyway)
    print(json.dumps(comparison) if as_json else "\n".join(comparison_in_lines(comparison)))
