"""`chaku plan`: the memory, layout, time, energy and cost of a recipe on a cluster, or of a large corpus."""

import json
from pathlib import Path

import click

from chaku.cli.shared.options import PATH, json_option, positive
from chaku.cli.shared.verb import verb


@verb("chaku plan recipes/codellama-7b.toml --shape 7b --gpus 8 --gpu h100")
@click.argument("recipe", type=PATH, required=False, help="A recipe: a TOML file, as recipes/ holds some.")
@click.option(
    "--corpus",
    metavar="PATH|SIZE",
    help="Plan a corpus instead: of a directory, or of a size (10TB). Measures this machine for a minute.",
)
@click.option("--cores", type=int, default=64, help="With --corpus: how many cores work on it.")
@click.option(
    "--core-price",
    type=float,
    default=0.04,
    callback=positive,
    help="With --corpus: dollars for an hour of a core, an assumption.",
)
@click.option("--gpus", type=int, default=8, help="How many GPUs, in nodes of 8.")
@click.option("--gpu", default="h100", help="Their kind: h100, h200, a100-80g, b200, l40s or rtx-4090.")
@click.option(
    "--cluster",
    type=PATH,
    help="A TOML file instead: gpu, nodes, gpus_per_node, network (GB/s a GPU between nodes), price.",
)
@click.option("--price", type=float, help="Dollars for an hour of one GPU; without it, 2.5, an assumption.")
@click.option("--shape", help="The base model's shape when its checkpoint is not here: 7b, 13b, 34b, 70b, ...")
@click.option(
    "--compute-share",
    type=float,
    default=0.45,
    callback=positive,
    help="The share of a GPU's peak that computation reaches.",
)
@click.option("--measured", type=PATH, metavar="RUN", help="A run with a GRPO stage: its rates give the hours.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the recipe.")
@click.option(
    "--simulate",
    is_flag=True,
    help="Count one rank's memory and messages in a real step with fake tensors too (minutes).",
)
@json_option()
def plan(
    recipe: Path | None,
    corpus: str | None,
    cores: int,
    core_price: float,
    gpus: int,
    gpu: str,
    cluster: Path | None,
    price: float | None,
    shape: str | None,
    compute_share: float,
    overrides: tuple[str, ...],
    simulate: bool,
    measured: Path | None,
    as_json: bool,
) -> None:
    """Say how GPUs would share each stage of a recipe, how long it would take, and what it would cost."""
    if (recipe is None) == (corpus is None):
        raise click.UsageError(
            "name a recipe, or --corpus with a directory or a size; the corpus has a plan of its own"
        )
    if corpus is not None:
        _plan_corpus(corpus, cores, core_price, as_json)
        return
    assert recipe is not None
    from chaku import api
    from chaku.pipeline.plan_words import in_lines

    planned = api.plan(
        recipe,
        gpus=gpus,
        gpu=gpu,
        cluster=cluster,
        price=price,
        shape=shape,
        compute_share=compute_share,
        overrides=overrides,
        simulate=simulate,
        measured=measured,
    )
    if as_json:
        print(json.dumps(planned.as_json()))
        return
    print("\n".join(in_lines(planned)))


def _plan_corpus(corpus: str, cores: int, core_price: float, as_json: bool) -> None:
    from chaku.pipeline.corpus_plan import plan_corpus
    from chaku.pipeline.corpus_plan_words import in_lines

    planned = plan_corpus(corpus, cores, core_price=core_price)
    print(json.dumps(planned.as_json()) if as_json else "\n".join(in_lines(planned)))
