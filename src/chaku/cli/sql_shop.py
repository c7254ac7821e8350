"""`chaku sql shop`: a made online shop to ask."""

import json
from pathlib import Path

import click

from chaku.cli.shared.options import PATH, json_option, seed_option
from chaku.cli.shared.verb import verb


@verb("chaku sql shop shop --train 1000 --dev 100")
@click.argument("out", type=PATH, help="A new directory: shop/shop.sqlite, train.jsonl, dev.jsonl.")
@seed_option(default=1)
@click.option("--train", type=int, default=4000, help="Write at most so many training questions.")
@click.option("--dev", type=int, default=300, help="Write at most so many dev questions.")
@json_option("Print the counts as JSON.")
def sql_shop(out: Path, seed: int, train: int, dev: int, as_json: bool) -> None:
    """Write a small online shop with questions about it, and print the counts."""
    from chaku.ownership import make_ours
    from chaku.synthetic.shop import write_shop

    make_ours(out, "shop")
    counts = write_shop(out, seed=seed, num_train=train, num_dev=dev)
    lines = (f"{name.replace('_', ' '):24}{count}" for name, count in counts.items())
    print(json.dumps(counts) if as_json else "\n".join(lines))
