"""`chaku report`: a run as one page, written again."""

from pathlib import Path

import click

from chaku.cli.shared.options import PATH
from chaku.cli.shared.several_values import Several
from chaku.cli.shared.show_report import show_report
from chaku.cli.shared.verb import verb
from chaku.errors import ChakuError


@verb("chaku report runs/demo --beside runs/demo-family")
@click.argument("run", type=PATH, help="The directory of a run.")
@click.option(
    "--beside",
    cls=Several,
    type=PATH,
    metavar="RUN...",
    help="Other runs, whose figures are shown too. The first run stands before it, or after --.",
)
@click.option("--open", "in_browser", is_flag=True, help="Open the report in a browser.")
def report(run: Path, beside: tuple[Path, ...], in_browser: bool) -> None:
    """Write a run's report.html again."""
    from chaku.report import write_report

    for directory in (run, *beside):
        if not (directory / "recipe.json").is_file():  # a report is written into no other directory
            raise ChakuError(f"{directory} is not a run: it has no recipe.json; name a directory that `chaku run` made")
    show_report(write_report(run, list(beside)), run, in_browser)
