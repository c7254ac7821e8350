"""`chaku merge`: a LoRA adapter becomes part of its base."""

import json
from pathlib import Path

import click

from chaku.cli.shared.loading import model_argument
from chaku.cli.shared.options import PATH, json_option
from chaku.cli.shared.verb import verb


@verb("chaku merge codellama-hf path/to/adapter merged")
@model_argument("base")
@click.argument("adapter", type=PATH, help="A directory in PEFT's format.")
@click.argument("target", type=PATH, help="A new directory.")
@json_option()
def merge(base: str, adapter: Path, target: Path, as_json: bool) -> None:
    """Add a LoRA adapter to its base, and write the model."""
    from chaku.checkpoint import convert

    result = convert.merge(base, adapter, target)
    print(json.dumps(result) if as_json else convert.in_words(result))
