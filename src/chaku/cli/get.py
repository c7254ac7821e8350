"""`chaku get`: a model of the catalogue on this machine."""

from pathlib import Path

import click

from chaku.cli.shared.names import Named, models
from chaku.cli.shared.options import PATH
from chaku.cli.shared.verb import verb


@verb("chaku get qwen2.5-coder-0.5b-instruct", keeps="always")
@click.argument("name", type=Named(models), help="A name that `chaku models` lists.")
@click.option("--dir", "directory", type=PATH, help="Put it there; without it, into the cache (CHAKU_CACHE).")
def get(name: str, directory: Path | None) -> None:
    """Bring a model of the catalogue to this machine, and print its path."""
    from chaku.checkpoint import download
    from chaku.checkpoint.find import catalogue_model

    print(download.get(catalogue_model(name), directory))
