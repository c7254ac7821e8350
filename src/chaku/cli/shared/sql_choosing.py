"""The options about which of the written queries runs and wins, of the commands that ask databases."""

import click

from chaku.cli.shared.options import Decorator

SELECT = (
    "Choose among different results by votes; csc: the model sees the two most frequent queries and results again; "
    "tests: queries vote together that agree on variants of the SQLite file too."
)


def select_option() -> Decorator:
    """--select."""
    return click.option("--select", type=click.Choice(["vote", "csc", "tests"]), default="vote", help=SELECT)


def choosing_options() -> tuple[Decorator, ...]:
    """--select and --max-cost."""
    return (
        select_option(),
        click.option(
            "--max-cost",
            type=float,
            metavar="COST",
            help="Run no query that costs more by the estimate of PostgreSQL, MySQL or MariaDB, in the server's unit; "
            "without it, --timeout alone ends a query.",
        ),
    )
