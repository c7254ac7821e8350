"""The options about how a database is asked that a command, a chat and a server share: fields of `AskSettings`."""

from pathlib import Path

import click

from chaku.cli.shared.options import PATH, Decorator, at_least_one

NO_VALUES = "Send no value of the database to the model: only names, types, keys, comments and the question."
SELECT = (
    "Choose among different results by votes; csc: the model sees the two most frequent queries and results again; "
    "tests: queries vote together that agree on variants of the SQLite file too."
)


def select_option() -> Decorator:
    """--select."""
    return click.option("--select", type=click.Choice(["vote", "csc", "tests"]), default="vote", help=SELECT)


def _can_be_written(context: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """A callback: raises ChakuError for a log that cannot be written, before a model is loaded."""
    if value is not None and not context.resilient_parsing:
        from chaku.inference.sent_log import append_sent

        append_sent(value, "")
    return value


def settings_options(max_rows: int) -> tuple[Decorator, ...]:
    """The options; `max_rows`: the default of --max-rows."""
    return (
        click.option(
            "--samples", "num_samples", type=int, default=5, callback=at_least_one,
            help="Write so many queries for a question, which vote.",
        ),
        click.option(
            "--max-rows", type=int, default=max_rows, callback=at_least_one,
            help="Fetch at most so many rows of a database.",
        ),
        click.option(
            "--no-cache", "cache", flag_value=False, default=True, show_default=False,
            help="Keep no values of the database on disk; read them for every command.",
        ),
        click.option("--no-values", "send_values", flag_value=False, default=True, show_default=False, help=NO_VALUES),
        click.option(
            "--log-sent", type=PATH, metavar="FILE", callback=_can_be_written,
            help="Append everything that is sent to the model here.",
        ),
        click.option(
            "--min-confidence", type=click.FloatRange(0, 1), default=0.0, metavar="SHARE",
            help="Refuse to answer if a smaller share of the queries agrees: 0 to 1.",
        ),
        click.option(
            "--embeddings", metavar="DIRECTORY|URL",
            help="Find tables and remembered questions by meaning, too: static embeddings in a directory (Model2Vec's "
            "form), or a server with OpenAI's /v1/embeddings.",
        ),
        click.option(
            "--embeddings-model", default="default", metavar="NAME",
            help="The name by which the server of --embeddings knows the model.",
        ),
        select_option(),
        click.option(
            "--max-cost", type=float, metavar="COST",
            help="Run no query that costs more by the estimate of PostgreSQL, MySQL or MariaDB, in the server's unit; "
            "without it, the time limit alone ends a query.",
        ),
    )  # fmt: skip
