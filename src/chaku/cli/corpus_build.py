"""`chaku corpus build`: raw files become clean documents."""

import json
from pathlib import Path
from typing import Literal

import click

from chaku.cli.shared.options import PATH, json_option, ray_option
from chaku.cli.shared.verb import verb


@verb("chaku corpus build path/to/repositories --out corpus", keeps="always")
@click.argument(
    "sources",
    nargs=-1,
    type=click.Path(),
    help="Directories, git checkouts, .jsonl or .parquet files (also .gz and .zst), or URLs of such files (s3://...).",
)
@click.option("--recipe", type=PATH, help="Take sources and limits from the [corpus] of this recipe.")
@click.option("--out", type=PATH, required=True, help="The directory of the corpus, new or made by chaku.")
@click.option(
    "--near-duplicates",
    type=click.Choice(["file", "repository", "both"]),
    help="Keep one copy of near-duplicates: of files, of whole repositories, or of both.",
)
@click.option(
    "--against", type=PATH, multiple=True, help="Drop near-duplicates of this corpus too. May be given several times."
)
@click.option("--opt-out", type=PATH, help="A file of repositories and paths, one a line, whose documents are dropped.")
@ray_option()
@json_option("Print the summary as JSON.")
def corpus_build(
    sources: tuple[str, ...],
    recipe: Path | None,
    out: Path,
    near_duplicates: Literal["file", "repository", "both"] | None,
    against: tuple[Path, ...],
    opt_out: Path | None,
    as_json: bool,
) -> None:
    """Gather documents, filter and deduplicate them, split a part off to measure on, and write them as Parquet."""
    from chaku import api
    from chaku.corpus.build import show_summary

    summary = api.build_corpus(
        sources, out, recipe=recipe, near_duplicates=near_duplicates, against=against, opt_out=opt_out
    )
    if as_json:
        print(json.dumps(summary))
    else:
        show_summary(summary)
