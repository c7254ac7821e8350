"""`chaku corpus why`: a document's way through the build of a corpus."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from chaku.cli.shared.options import PATH, json_option
from chaku.cli.shared.verb import verb


@verb("chaku corpus why src/chaku/files.py --corpus runs/demo")
@click.argument(
    "name",
    help="A path as its source has it, the end of one, a file, or a SHA-256 (at least 8 digits) of a text or file.",
)
@click.option("--corpus", type=PATH, required=True, help="The directory of a corpus, or of a run.")
@json_option()
def corpus_why(name: str, corpus: Path, as_json: bool) -> None:
    """Say where a document came from, which checks it passed, and why it was dropped or kept."""
    from chaku.corpus.lineage.history import MOST, in_lines, ways
    from chaku.corpus.lineage.read import open_lineage

    found = ways(open_lineage(corpus), name)
    if as_json:
        print(json.dumps([asdict(way) for way in found]))
        return
    print("\n".join(line for way in found for line in in_lines(way)))
    if len(found) == MOST:
        print(f"(the first {MOST}; write more of the path to see others)")
