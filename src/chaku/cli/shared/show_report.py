"""How a run's report is shown at the end of `run` and `report`."""

import os
import sys
from pathlib import Path


def show_report(report: Path, run: Path | None, in_browser: bool) -> None:
    """Print the report's path and the commands to try next; open it where there is a browser and it is wanted.

    `run`: whose commands are printed, if any.
    """
    from chaku.pipeline.try_it import read_commands

    if in_browser and (os.environ.get("DISPLAY") or sys.platform == "darwin"):
        import webbrowser

        webbrowser.open(report.resolve().as_uri())
    print(report)
    for command in read_commands(run) if run else ():
        print(f"\n# {command.about}\n{command.command}")


def say_what_does_not_run() -> None:
    """Say in the first second, before torch is imported, what this system cannot run."""
    from chaku.console import say
    from chaku.machine import what_does_not_run

    for line in what_does_not_run():
        say(line)
