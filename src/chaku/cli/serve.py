"""`chaku serve`: a model behind HTTP."""

import click

from chaku.cli.shared.loading import Loading, loading_options, model_argument
from chaku.cli.shared.sql_serving import SqlServing, sql_serving_options
from chaku.cli.shared.verb import verb


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
@click.option("--no-lookup", is_flag=True, help="Write a token a step, without guesses from the text itself.")
@click.option("--remember", is_flag=True, help="Let clients keep questions with their right SQL as examples.")
@sql_serving_options()
@loading_options()
def serve(
    model: str,
    host: str,
    port: int,
    api_key: str | None,
    rows: int,
    queue: int,
    name: str | None,
    no_lookup: bool,
    remember: bool,
    databases: SqlServing,
    loading: Loading,
) -> None:
    """Serve a model over HTTP, with the APIs of OpenAI and others, until Ctrl-C or SIGTERM."""
    from chaku.serve.run import Settings, run

    asking = databases.asking(remember) if databases.db else None
    settings = Settings(host, port, api_key, rows, queue, name, not no_lookup, databases.db, asking)
    run(model, loading.for_engine(), settings)
