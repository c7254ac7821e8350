"""How an answer to a question looks: the query, its rows, what was assumed, and how the query was found."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

    from chaku.sql.answer.chart import Chart
    from chaku.sql.ask.answers import Answer
    from chaku.sql.ask.asker import Asker
    from chaku.sql.execute.runner import Result

SHOWN_ROWS = 50  # on a terminal; --json and --csv print all


def show(answer: "Answer") -> None:
    """The query, its rows as a table and in a sentence, and what was assumed; on a terminal also a chart."""
    from rich.console import Console
    from rich.syntax import Syntax

    from chaku.console import CODE_THEME
    from chaku.sql.answer.chart import chart_of

    if answer.refusal:
        print(printable(f"No answer: {answer.refusal}"))
        _show_assumptions(answer)
        return
    console = Console(highlight=False, soft_wrap=True)
    if console.is_terminal:
        sql = Syntax(printable(answer.sql), "sql", theme=CODE_THEME, background_color="default", word_wrap=True)
        console.print(sql)
    else:
        print(printable(answer.sql))
    show_result(answer.result)
    if console.is_terminal and (chart := chart_of(answer.result)):
        show_chart(chart, console)
    print(printable(answer.sentence))
    if not answer.by_rule or answer.confidence < 1:  # a rule may have changed a query of the model
        print(_confidence(answer))
    _show_assumptions(answer)
    if answer.dropped:
        print(f"left out of the prompt: {_some([str(part) for part in answer.dropped])}")


def _confidence(answer: "Answer") -> str:
    """How sure an answer is; a single query agrees with itself, which says nothing."""
    ran = sum(candidate.votes for candidate in answer.candidates if candidate.result.ok)
    if not answer.by_rule and (ran, answer.confidence) == (1, 1.0):
        return "confidence not known: only one query was written"
    return f"confidence {answer.confidence:.0%}"


def _show_assumptions(answer: "Answer") -> None:
    for assumption in answer.assumptions:
        print(printable(f"assumed: {assumption}"))


def show_explanation(answer: "Answer", asker: "Asker", file: TextIO) -> None:
    """The query in plain words, the tables that were shown, and what else was written."""
    from chaku.sql.ask.explain import explain

    if answer.sql:
        for number, line in enumerate(explain(answer.sql, asker.schema), 1):
            print(printable(f"{number}. {line}"), file=file)
    if answer.by_rule:
        print(f"no model was asked; tables: {', '.join(answer.tables)}", file=file)
        return
    print(f"tables shown to the model: {', '.join(answer.tables) or 'none'}", file=file)
    if answer.dropped:
        print(f"left out: {', '.join(map(str, answer.dropped))}", file=file)
    for candidate in answer.candidates:
        outcome = f"{len(candidate.result.rows)} rows" if candidate.result.ok else candidate.result.reason
        print(printable(f"{candidate.votes} x {' '.join(candidate.sql.split())} -> {outcome}"), file=file)


def show_result(result: "Result") -> None:
    """The rows as a table, or why there are none."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not result.ok:
        print(printable(f"failed: {result.reason}"))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, name in enumerate(result.columns):
        numbers = all(isinstance(row[index], int | float) or row[index] is None for row in result.rows)
        table.add_column(Text(printable(name)), justify="right" if numbers and result.rows else "left")
    for row in result.rows[:SHOWN_ROWS]:
        table.add_row(*(Text("NULL", style="dim") if cell is None else Text(printable(cell)) for cell in row))
    Console(highlight=False).print(table)
    if len(result.rows) > SHOWN_ROWS or result.truncated:
        more = f"of {len(result.rows)}{' and more' if result.truncated else ''}"
        print(f"the first {min(SHOWN_ROWS, len(result.rows))} {more} rows")


def show_chart(chart: "Chart", console: "Console") -> None:
    """Bars as wide as the terminal allows; nothing for more bars than a reader can compare."""
    from rich.bar import Bar
    from rich.table import Table
    from rich.text import Text

    from chaku.sql.answer.chart import MAX_BARS

    values = [point.value for point in chart.points]
    low, high = min(0.0, *values), max(0.0, *values)
    if len(values) > MAX_BARS or high - low in (0, math.inf):
        return
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(max_width=console.width // 3, no_wrap=True, overflow="ellipsis")
    table.add_column(ratio=1)
    table.add_column(justify="right", no_wrap=True)
    for point in chart.points:
        bar = Bar(high - low, min(point.value, 0.0) - low, max(point.value, 0.0) - low)
        table.add_row(Text(printable(point.label)), bar, printable(point.text))
    console.print(table)


def printable(value: object) -> str:
    """A cell without what would move a terminal's cursor or colour it."""
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in str(value))


def _some(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
