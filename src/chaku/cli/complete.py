"""`chaku complete`: a model goes on with a text."""

import click

from chaku.cli.shared.completions import Writing, read_stdin, write, writing_options
from chaku.cli.shared.loading import Loading, loading_options, model_argument
from chaku.cli.shared.verb import verb


@verb('chaku complete smollm2-135m-instruct "def fibonacci(n):" --max-tokens 64')
@model_argument()
@click.argument("prompt", required=False, help="The text to complete; '-' or nothing reads standard input.")
@writing_options()
@loading_options()
def complete(model: str, prompt: str | None, writing: Writing, loading: Loading) -> None:
    """Complete a text, and print the text and its completion."""
    from chaku.inference.generator import TextPrompt

    text = read_stdin() if prompt in (None, "-") else prompt
    write(model, loading, TextPrompt(text), writing, before=text)
