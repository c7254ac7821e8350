"""`chaku report`: a run as one page, written again, or two runs side by side."""

from pathlib import Path

import click

from chaku.cli.shared.options import PATH
from chaku.cli.shared.several_values import Several
from chaku.cli.shared.show_report import show_report
from chaku.cli.shared.verb import verb
from chaku.errors import ChakuError


@verb("chaku report runs/demo --beside runs/demo-family")
@click.argument("run", type=PATH, required=False, help="The directory of a run, or of `chaku sql robustness`.")
@click.option(
    "--beside",
    cls=Several,
    type=PATH,
    metavar="RUN...",
    help="Other runs, whose figures are shown too. The first run stands before it, or after --.",
)
@click.option(
    "--compare",
    cls=Several,
    type=PATH,
    metavar="RUN RUN",
    help="Two runs to compare: their recipes, scores, losses and time, on a page in the second run's directory.",
)
@click.option("--open", "in_browser", is_flag=True, help="Open the report in a browser.")
def report(run: Path | None, beside: tuple[Path, ...], compare: tuple[Path, ...], in_browser: bool) -> None:
    """Write a run's report.html again, or compare two runs."""
    from chaku.report import write_comparison, write_report, write_robustness_report

    if compare:
        runs = (*((run,) if run else ()), *compare)
        if len(runs) != 2 or beside:
            raise click.UsageError("--compare takes two runs, and no --beside: chaku report --compare runs/a runs/b")
        for directory in runs:
            check_is_run(directory)
        show_report(write_comparison(*runs), None, in_browser)
        return
    if run is None:
        raise click.UsageError("name a run, or two with --compare")
    if (run / "robustness.json").is_file() and not (run / "recipe.json").is_file():
        if beside:
            raise click.UsageError(f"{run} is not a run; --beside shows runs beside a run")
        show_report(write_robustness_report(run), None, in_browser)
        return
    for directory in (run, *beside):
        check_is_run(directory)
    show_report(write_report(run, list(beside)), run, in_browser)


def check_is_run(directory: Path) -> None:
    """Raises ChakuError for a directory that no run made: a report is written into no other directory."""
    if not (directory / "recipe.json").is_file():
        raise ChakuError(f"{directory} is not a run: it has no recipe.json; name a directory that `chaku run` made")
