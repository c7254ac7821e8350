"""`chaku convert`: a checkpoint in another format."""

import json
from pathlib import Path
from typing import Literal

import click

from chaku.cli.shared.loading import MODEL, model_argument
from chaku.cli.shared.options import PATH, json_option
from chaku.cli.shared.verb import verb


@verb("chaku convert path/to/CodeLlama-7b codellama-hf --to hf --verify")
@model_argument("source", f"{MODEL}.")
@click.argument("target", type=PATH, help="A new directory; for GGUF a new file.")
@click.option("--to", type=click.Choice(["hf", "meta", "gguf"]), required=True, help="The format to write.")
@click.option(
    "--dtype",
    help="Store float32, float16 or bfloat16; without it, as the source does. GGUF: f32, f16 (without it) or q8_0.",
)
@click.option("--shards", type=int, default=1, help="Write so many files in Meta's format: its model parallelism.")
@click.option("--verify", is_flag=True, help="Compare the scores of both sides before the target stands.")
@json_option()
def convert(
    source: str,
    target: Path,
    to: Literal["hf", "meta", "gguf"],
    dtype: str | None,
    shards: int,
    verify: bool,
    as_json: bool,
) -> None:
    """Write a checkpoint in another format."""
    from chaku.checkpoint import convert as converting

    result = converting.convert(source, target, to, dtype=dtype, num_shards=shards, verify=verify)
    print(json.dumps(result) if as_json else converting.in_words(result))
