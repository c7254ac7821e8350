"""The options that write a result into files: --xlsx, --parquet and --chart."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chaku.cli.shared.options import PATH, Decorator, gathered
from chaku.console import say

if TYPE_CHECKING:
    from chaku.sql.execute.runner import Result

ROW_FILES = ("csv", "xlsx", "parquet")


@dataclass(frozen=True)
class Files:
    """The options as they were given."""

    xlsx: Path | None
    parquet: Path | None
    chart: Path | None

    def __bool__(self) -> bool:
        return any((self.xlsx, self.parquet, self.chart))

    def check(self) -> None:
        """Raises ChakuError for a file that cannot be written, before the question costs time."""
        from chaku.sql.answer.chart import check_chart_file
        from chaku.sql.answer.row_files import check_xlsx

        if self.xlsx:
            check_xlsx()
        if self.chart:
            check_chart_file(self.chart)

    def write(self, result: "Result") -> None:
        """Write all files, the chart last: rows that make no chart are in the other files. Raises ChakuError."""
        for kind, path in (("xlsx", self.xlsx), ("parquet", self.parquet), ("chart", self.chart)):
            if path:
                say(write_file(kind, result, path))


def write_file(kind: str, result: "Result", path: Path) -> str:
    """Write a result as a file of ROW_FILES or as a "chart"; returns a line about the file. Raises ChakuError."""
    from chaku.files import atomic_file
    from chaku.sql.answer import chart, row_files

    if kind == "chart":
        chart.write_chart(result, path)
        return f"a chart of {len(result.rows)} rows written to {path}"
    if kind == "csv":
        with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            row_files.write_csv(result, file)
    else:
        write = row_files.write_xlsx if kind == "xlsx" else row_files.write_parquet
        write(result, path)
    cut = "; the result is cut off there, and --max-rows may allow more" if result.truncated else ""
    return f"{len(result.rows)} rows written to {path}{cut}"


def file_options() -> Decorator:
    """The options, in the parameter `files`."""
    return gathered(
        "files",
        Files,
        click.option("--xlsx", type=PATH, metavar="FILE", help="Write the rows as a sheet for spreadsheets, too."),
        click.option("--parquet", type=PATH, metavar="FILE", help="Write the rows as Parquet, too."),
        click.option(
            "--chart",
            type=PATH,
            metavar="FILE",
            help="Write a chart of the rows, too: FILE.png, FILE.svg, or FILE.vl.json for Vega-Lite.",
        ),
    )
