"""Show progress: a bar on a terminal, plain lines elsewhere, nothing with `--quiet`."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # rich takes longer than the help of a command: it is imported when something is shown
    from rich.console import Console
    from rich.progress import Progress, Task
    from rich.text import Text

CODE_THEME = "ansi_dark"  # of rich: names have the terminal's own colour, which can be read on light and on dark
PLAIN_LINE_SECONDS = 10.0  # seconds between two lines in a log file

_quiet = False
_verbose = False
_console: "Console | None" = None


def set_quiet(quiet: bool) -> None:
    """`--quiet`: no bars, no lines; errors and results still show."""
    global _quiet
    _quiet = quiet


def set_verbose(verbose: bool) -> None:
    """`--verbose`: what `detail` is told shows too."""
    global _verbose
    _verbose = verbose


def say(text: str) -> None:
    """Print a line to standard error, unless `--quiet` is given."""
    if not _quiet:
        _standard_error().print(text, markup=False, soft_wrap=True)


def detail(text: str) -> None:
    """Print a line to standard error where --verbose asks for it: a choice that was made for the user."""
    if _verbose:
        _standard_error().print(text, markup=False, soft_wrap=True)


def warn(text: str) -> None:
    """Print a line to standard error even with `--quiet`: a result differs from the user's request."""
    _standard_error().print(text, markup=False, soft_wrap=True)


def _standard_error() -> "Console":
    global _console
    if _console is None:
        from rich.console import Console

        _console = Console(stderr=True, highlight=False)
    return _console


def show_table(title: str, columns: list[str], rows: list[list[object]]) -> None:
    """Print a small table to standard error, unless `--quiet` is given. Columns after the first are right-aligned."""
    if _quiet:
        return
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(
            *(
                cell if isinstance(cell, str) else f"{cell:,.3f}" if isinstance(cell, float) else str(cell)
                for cell in row
            )
        )
    _standard_error().print(table)


def table_in_text(rows: Sequence[Sequence[str]]) -> str:
    """A table for a message, a row a line. No cell is cut or wrapped, so that a command in it can be copied."""
    widths = [min(max(map(len, column)), 60) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(["", *map(str.ljust, row, widths)]).rstrip() for row in rows)


@dataclass
class Bar:
    """A running count of finished units. `note` is shown at the end of the bar (a loss, a file name)."""

    description: str
    total: float
    unit: str
    done: float = 0.0
    initial: float = 0.0
    note: str = ""
    started: float = field(default_factory=time.monotonic)
    _last_line: float = field(default_factory=time.monotonic)
    _progress: "Progress | None" = None

    def advance(self, amount: float, note: str | None = None) -> None:
        self.done += amount
        self.note = self.note if note is None else note
        if self._progress:
            self._progress.update(self._progress.task_ids[0], completed=self.done, note=self.note)
        elif not _quiet and time.monotonic() - self._last_line > PLAIN_LINE_SECONDS:
            self._last_line = time.monotonic()
            rate = self.rate()
            left = f", {_clock((self.total - self.done) / rate)} left" if rate and self.total >= self.done else ""
            share = f"{self.done / self.total:4.0%}" if self.total else ""
            count = f"{counted(self.done, self.unit)}, {short(rate)} {self.unit}/s"
            say(f"{self.description}: {share} {count}{left} {self.note}")

    def rate(self) -> float:
        """Units per second since the bar first showed."""
        return (self.done - self.initial) / max(time.monotonic() - self.started, 1e-9)


@contextmanager
def progress(description: str, total: float, unit: str, initial: float = 0) -> Iterator[Bar]:
    """Show work of `total` units (0 when unknown) with its rate and the time left.

    `initial`: units that were finished before this process began.
    """
    bar = Bar(description, total, unit, done=initial, initial=initial)
    if _quiet or not sys.stderr.isatty():
        yield bar
    else:
        with _live_bar(unit) as shown:
            shown.add_task(description, total=total or None, completed=int(initial), note="")
            bar._progress = shown
            yield bar
    if not _quiet and not bar._progress:
        seconds = time.monotonic() - bar.started
        say(f"{description}: {counted(bar.done, unit)} in {_clock(seconds)} {bar.note}".rstrip())


def _live_bar(unit: str) -> "Progress":
    """rich's bar, with a column for the count and the rate: a class that is made here, where rich is imported."""
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: "Task") -> "Text":
            done = f"{short(task.completed)}/" if task.total else ""
            rate = f" {short(task.speed)}/s" if task.speed else ""
            return Text(f"{done}{counted(task.total or task.completed, unit)}{rate}")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        RateColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=_standard_error(),
    )


def short(number: float, digits: int = 3) -> str:
    """A number in about four characters, or with more digits: 12, 4.1k, 3.2M, 1.5G."""
    rounded = abs(float(f"{number:.{digits}g}"))  # 999.9 is 1k, not 1e+03
    for scale, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rounded >= scale:
            return f"{number / scale:.{digits}g}{suffix}"
    return f"{number:.{digits}g}"


def counted(number: float, unit: str) -> str:
    """A number of units, which are given in the plural: 12 programs, 1 program."""
    return f"{short(number)} {unit.removesuffix('s') if number == 1 else unit}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
