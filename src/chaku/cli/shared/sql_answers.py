"""How an answer to a question looks: the query, its rows, what was assumed, and how the query was found."""

import csv
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from chaku.sql.ask.asker import Answer, Asker
    from chaku.sql.execute.runner import Result

SHOWN_ROWS = 50  # on a terminal; --json and --csv print all


def show(answer: "Answer") -> None:
    """The query, highlighted on a terminal, its rows as a table, and what was assumed."""
    from rich.console import Console
    from rich.syntax import Syntax

    if answer.refusal:
        print(_printable(f"No answer: {answer.refusal}"))
        return
    console = Console(highlight=False, soft_wrap=True)
    if console.is_terminal:
        console.print(Syntax(_printable(answer.sql), "sql", background_color="default", word_wrap=True))
    else:
        print(_printable(answer.sql))
    show_result(answer.result)
    print(f"confidence {answer.confidence:.0%}")
    for assumption in answer.assumptions:
        print(_printable(f"assumed: {assumption}"))
    if answer.dropped:
        print(f"left out of the prompt: {_some([str(part) for part in answer.dropped])}")


def show_explanation(answer: "Answer", asker: "Asker", file: TextIO) -> None:
    """The query in plain words, the tables that were shown, and what else was written."""
    from chaku.sql.ask.explain import explain

    if answer.sql:
        for number, line in enumerate(explain(answer.sql, asker.schema), 1):
            print(_printable(f"{number}. {line}"), file=file)
    print(f"tables shown to the model: {', '.join(answer.tables) or 'none'}", file=file)
    if answer.dropped:
        print(f"left out: {', '.join(map(str, answer.dropped))}", file=file)
    for candidate in answer.candidates:
        outcome = f"{len(candidate.result.rows)} rows" if candidate.result.ok else candidate.result.reason
        print(_printable(f"{candidate.votes} x {' '.join(candidate.sql.split())} -> {outcome}"), file=file)


def write_csv(result: "Result", file: TextIO) -> None:
    """Rows as CSV, NULL as nothing."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(result.columns)
    writer.writerows([["" if cell is None else cell for cell in row] for row in result.rows])


def show_result(result: "Result") -> None:
    """The rows as a table, or why there are none."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not result.ok:
        print(_printable(f"failed: {result.reason}"))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, name in enumerate(result.columns):
        numbers = all(isinstance(row[index], int | float) or row[index] is None for row in result.rows)
        table.add_column(Text(_printable(name)), justify="right" if numbers and result.rows else "left")
    for row in result.rows[:SHOWN_ROWS]:
        table.add_row(*(Text("NULL", style="dim") if cell is None else Text(_printable(cell)) for cell in row))
    Console(highlight=False).print(table)
    if len(result.rows) > SHOWN_ROWS or result.truncated:
        more = f"of {len(result.rows)}{' and more' if result.truncated else ''}"
        print(f"the first {min(SHOWN_ROWS, len(result.rows))} {more} rows")


def _printable(value: object) -> str:
    """A cell without what would move a terminal's cursor or colour it."""
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in str(value))


def _some(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
