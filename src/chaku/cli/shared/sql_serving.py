"""The options of the commands that let clients ask databases: `chaku serve` and `chaku sql mcp`."""

from pathlib import Path

import click

from chaku.cli.shared.options import Decorator, gathered
from chaku.cli.shared.sql_settings import settings_options
from chaku.serve.database_settings import Asking


def named_files(context: click.Context, param: click.Parameter, named: tuple[str, ...]) -> dict[str, Path]:
    """A callback: files by the name of their database, from NAME=FILE."""
    found: dict[str, Path] = {}
    for text in named:
        name, equals, file = text.partition("=")
        if not equals or not name or not file:
            raise click.UsageError(f"--glossary {text!r} is not NAME=FILE, as in --glossary shop=shop.glossary.toml")
        found[name] = Path(file)
    return found


def databases_option(required: bool = False) -> Decorator:
    """--db; `required`: whether there must be a database."""
    return click.option(
        "--db",
        multiple=True,
        required=required,
        metavar="NAME=DATABASE",
        help="Let clients ask this database: a file or a URL as for `chaku sql ask`, named NAME, or by itself; "
        "may be given several times.",
    )


def serving_options() -> Decorator:
    """The options, in the parameter `asking`."""
    return gathered(
        "asking",
        Asking,
        *settings_options(max_rows=Asking.max_rows),
        click.option(
            "--glossary",
            "glossaries",
            multiple=True,
            metavar="NAME=FILE",
            callback=named_files,
            help="The file of the words of the database NAME; without it, NAME.glossary.toml beside its file; may be "
            "given several times.",
        ),
    )
