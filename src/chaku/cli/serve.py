"""`chaku serve`: a model behind HTTP."""

from collections.abc import Sequence
from pathlib import Path

import click

from chaku.cli.shared.loading import Loading, loading_options, model_argument
from chaku.cli.shared.verb import verb
from chaku.errors import ChakuError


@verb("chaku serve qwen2.5-coder-0.5b-instruct --port 8012")
@model_argument()
@click.option(
    "--host", default="127.0.0.1", help="Listen on this address; another than this machine's needs --api-key."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8012, help="Listen on this port; 0 takes a free one.")
@click.option(
    "--api-key",
    envvar="CHAKU_API_KEY",
    help="Ask clients for this key, as `Authorization: Bearer KEY`; without it, $CHAKU_API_KEY, or none.",
)
@click.option("--rows", type=click.IntRange(1, 1024), default=32, help="Write so many texts at one time.")
@click.option(
    "--queue", type=click.IntRange(0, 100_000), default=256, help="Let so many requests wait; more get status 429."
)
@click.option("--name", help="The model's name for clients; without it, as MODEL names it.")
@click.option(
    "--adapter",
    "adapters",
    multiple=True,
    metavar="NAME=DIRECTORY",
    help="A LoRA adapter of MODEL, which requests choose by NAME as their model; may be repeated.",
)
@click.option("--no-lookup", is_flag=True, help="Write a token a step, without guesses from the text itself.")
@loading_options()
def serve(
    model: str,
    host: str,
    port: int,
    api_key: str | None,
    rows: int,
    queue: int,
    name: str | None,
    adapters: tuple[str, ...],
    no_lookup: bool,
    loading: Loading,
) -> None:
    """Serve a model over HTTP, with the APIs of OpenAI and others, until Ctrl-C or SIGTERM."""
    from chaku.serve.run import Settings, run

    named = {key: Path(value) for key, value in read_named(adapters, "--adapter").items()}
    run(model, loading.for_engine(), Settings(host, port, api_key, rows, queue, name, named, not no_lookup))


def read_named(given: Sequence[str], option: str) -> dict[str, str]:
    """The values of an option that is given as NAME=VALUE. Raises ChakuError for anything else."""
    found: dict[str, str] = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise ChakuError(f"{option} {word!r} is not NAME=VALUE, as in {option} sql=runs/demo/stages/sql")
        if name in found:
            raise ChakuError(f"{option} names {name!r} twice; give each name once")
        found[name] = value
    return found
