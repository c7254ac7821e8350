"""The options of the commands that ask databases about an embedding model."""

import click

from chaku.cli.shared.options import Decorator


def meaning_options() -> tuple[Decorator, ...]:
    """--embeddings and --embeddings-model."""
    return (
        click.option(
            "--embeddings",
            metavar="DIRECTORY|URL",
            help="Find tables and remembered questions by meaning, too: static embeddings in a directory (Model2Vec's "
            "form), or a server with OpenAI's /v1/embeddings.",
        ),
        click.option(
            "--embeddings-model",
            default="default",
            metavar="NAME",
            help="The name by which the server of --embeddings knows the model.",
        ),
    )
