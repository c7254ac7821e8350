"""The options about trust, of the commands that ask databases: what the model may see, and when it must agree."""

import click

from chaku.cli.shared.options import PATH, Decorator

NO_VALUES = "Send no value of the database to the model: only names, types, keys, comments and the question."


def trust_options() -> tuple[Decorator, ...]:
    """--no-values, --log-sent and --min-confidence."""
    return (
        click.option("--no-values", is_flag=True, help=NO_VALUES),
        click.option("--log-sent", type=PATH, metavar="FILE", help="Append everything that is sent to the model here."),
        click.option(
            "--min-confidence",
            type=click.FloatRange(0, 1),
            default=0.0,
            metavar="SHARE",
            help="Refuse to answer if a smaller share of the queries agrees: 0 to 1.",
        ),
    )
