"""`chaku run`: a recipe from its corpus to its report."""

import sys
from pathlib import Path

import click

from chaku.cli.shared.options import PATH, ray_option
from chaku.cli.shared.show_report import say_what_does_not_run, show_report
from chaku.cli.shared.verb import verb
from chaku.launcher import only_helps


@verb("chaku run recipes/demo-family.toml --set budget.minutes=2 --open", keeps="always")
@click.argument("recipe", type=PATH, help="A recipe: a TOML file, as recipes/ holds some.")
@click.option("--out", type=PATH, help="The directory of the run; without it, runs/NAME.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key of the recipe; may be given several times.",
)
@click.option(
    "--without-missing",
    is_flag=True,
    help="Run what can run without what this machine lacks; the report says what was left out.",
)
@click.option(
    "--yes",
    is_flag=True,
    help="Make finished work again where the recipe or its sources changed, without asking first.",
)
@ray_option()
@click.option("--open", "in_browser", is_flag=True, help="Open the report in a browser at the end.")
def run(
    recipe: Path, out: Path | None, overrides: tuple[str, ...], without_missing: bool, yes: bool, in_browser: bool
) -> None:
    """Run a recipe, or go on with it where it was cut off; torchrun --nproc-per-node 8 -m chaku run uses 8 GPUs."""
    if not only_helps():
        say_what_does_not_run()
    from chaku import api

    try:
        report = api.run(
            recipe,
            out,
            overrides=overrides,
            without_missing=without_missing,
            make_again=yes or (_may_make_again if sys.stdin.isatty() and sys.stderr.isatty() else False),
        )
    except KeyboardInterrupt:
        if not only_helps():
            raise
        raise SystemExit(130) from None  # rank 0 prints that the run was stopped
    if not only_helps():
        show_report(report, report.parent, in_browser)


def _may_make_again(what: str) -> bool:
    print(f"chaku: {what}", file=sys.stderr)
    return input("make it again? [y/N] ").strip().lower() in ("y", "yes")
