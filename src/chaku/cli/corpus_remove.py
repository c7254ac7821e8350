"""`chaku corpus remove`: which models have seen a source or documents, and how to build without them."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from chaku.cli.shared.options import PATH, json_option
from chaku.cli.shared.verb import verb


@verb("chaku corpus remove octocat/hello --corpus runs/demo --opt-out opt-out.txt")
@click.argument(
    "names",
    nargs=-1,
    required=True,
    help="Sources, repositories, SOURCE/PATH, paths as their source has them, or files and folders of this machine.",
)
@click.option("--corpus", type=PATH, required=True, help="The directory of a run, or of a corpus.")
@click.option(
    "--opt-out",
    type=PATH,
    help="Add the names to this list; without it, to the list of the run's recipe, if it has one.",
)
@click.option("--copies", is_flag=True, help="Add the copies of the documents too, which were dropped as duplicates.")
@json_option()
def corpus_remove(names: tuple[str, ...], corpus: Path, opt_out: Path | None, copies: bool, as_json: bool) -> None:
    """Say which tokens, stages and models have seen a source or documents, and leave them out of the next build."""
    from chaku.pipeline.removal import in_lines, remove

    removal = remove(corpus, names, opt_out=opt_out, copies=copies)
    if as_json:
        print(json.dumps(asdict(removal), default=str))
    else:
        print("\n".join(in_lines(removal, corpus)))
