"""`chaku serve`: a model behind HTTP."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from chaku.cli.shared.loading import Loading, loading_options, model_argument
from chaku.cli.shared.options import PATH
from chaku.cli.shared.sql_serving import databases_option, serving_options
from chaku.cli.shared.verb import verb
from chaku.errors import ChakuError

if TYPE_CHECKING:
    from chaku.serve.database_settings import Asking


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
@click.option(
    "--cache-tokens",
    type=click.IntRange(1),
    metavar="N",
    help="Keep the keys and values of so many tokens, of all texts together; without it, 1,024 a row.",
)
@click.option("--max-body", type=click.IntRange(1), metavar="BYTES", help="Refuse larger requests; without it, 4 MB.")
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="NAME",
    help="Let clients call the server by this name, too (behind a proxy, say); may be repeated.",
)
@click.option("--ssl-certfile", type=PATH, help="Speak HTTPS with this certificate; needs --ssl-keyfile.")
@click.option("--ssl-keyfile", type=PATH, help="The key of --ssl-certfile.")
@click.option(
    "--upstream",
    metavar="URL",
    help="Stand before this server, which writes the texts; MODEL gives the tokenizer. Its key is $OPENAI_API_KEY.",
)
@click.option(
    "--upstream-kind",
    type=click.Choice(["vllm", "sglang", "llama.cpp", "ollama"]),
    default="vllm",
    help="What the server behind is.",
)
@click.option("--upstream-model", metavar="NAME", help="The model's name there; without it, the first that it lists.")
@click.option("--no-lookup", is_flag=True, help="Write a token a step, without guesses from the text itself.")
@click.option("--remember", is_flag=True, help="Let clients keep questions with their right SQL as examples.")
@databases_option()
@serving_options()
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
    cache_tokens: int | None,
    max_body: int | None,
    allow_hosts: tuple[str, ...],
    ssl_certfile: Path | None,
    ssl_keyfile: Path | None,
    upstream: str | None,
    upstream_kind: Literal["vllm", "sglang", "llama.cpp", "ollama"],
    upstream_model: str | None,
    no_lookup: bool,
    db: tuple[str, ...],
    asking: "Asking",
    loading: Loading,
) -> None:
    """Serve a model over HTTP, with the APIs of OpenAI and others, until Ctrl-C or SIGTERM."""
    from chaku.serve.run import Settings, run

    named = {key: Path(value) for key, value in read_named(adapters, "--adapter").items()}
    if (ssl_certfile is None) != (ssl_keyfile is None):
        raise click.UsageError("give --ssl-certfile and --ssl-keyfile together")
    settings = Settings(
        host=host,
        port=port,
        api_key=api_key,
        rows=rows,
        queue=queue,
        name=name,
        adapters=named,
        guess=not no_lookup,
        databases=db,
        asking=asking,
        cache_tokens=cache_tokens,
        allow_hosts=allow_hosts,
        max_body=max_body,
        ssl=(ssl_certfile, ssl_keyfile) if ssl_certfile and ssl_keyfile else None,
        upstream=upstream,
        upstream_kind=upstream_kind,
        upstream_model=upstream_model,
    )
    if upstream:
        loading.refuse()
    run(model, loading.for_engine(), settings)


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
