"""`chaku sql mcp`: databases for an assistant, over the Model Context Protocol."""

from typing import TYPE_CHECKING

import click

from chaku.cli.shared.loading import MODEL, Loading, loading_options
from chaku.cli.shared.names import MODEL_NAME
from chaku.cli.shared.sql_asking import ENDPOINT_TIMEOUT
from chaku.cli.shared.sql_serving import databases_option, serving_options
from chaku.cli.shared.verb import verb

if TYPE_CHECKING:
    from chaku.serve.database_settings import Asking


@verb("chaku sql mcp --db shop.sqlite --model runs/demo/stages/sql")
@databases_option(required=True)
@serving_options()
@click.option("--model", type=MODEL_NAME, help=f"{MODEL}.")
@click.option("--endpoint", metavar="URL", help="Ask a server with OpenAI's API; see --endpoint-model.")
@click.option(
    "--endpoint-model", default="default", metavar="NAME", help="The name by which the server knows the model."
)
@click.option(
    "--http", type=click.IntRange(0, 65535), metavar="PORT", help="Listen on this port; without it, on standard input."
)
@click.option(
    "--host",
    default="127.0.0.1",
    help="With --http, listen on this address; another than this machine's needs --api-key.",
)
@click.option(
    "--api-key",
    envvar="CHAKU_API_KEY",
    help="With --http, ask clients for this key, as `Authorization: Bearer KEY`; without it, $CHAKU_API_KEY, or none.",
)
@loading_options()
def sql_mcp(
    db: tuple[str, ...],
    asking: "Asking",
    model: str | None,
    endpoint: str | None,
    endpoint_model: str,
    http: int | None,
    host: str,
    api_key: str | None,
    loading: Loading,
) -> None:
    """Let an assistant ask your databases, over the Model Context Protocol, until it leaves."""
    from chaku.serve.mcp_run import Listening, ModelHere, ModelThere, run

    here = ModelHere(model, loading.for_engine()) if model is not None else None
    there = ModelThere(endpoint, endpoint_model, ENDPOINT_TIMEOUT) if endpoint is not None else None
    asked = here or there
    if asked is None or (here and there):
        raise click.UsageError("give --model or --endpoint, one of them")
    if there:
        loading.refuse()
    run(db, asked, asking, None if http is None else Listening(host, http, api_key))
