"""The turns of a conversation, and what a prompt says about them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chaku.sql.ask.answers import Answer
from chaku.sql.glossary.query import MetricQuery
from chaku.sql.schema.definition import on_one_line
from chaku.sql.schema.values import Match

SHOWN_ROWS = 3  # of a turn's rows, in a prompt
LONGEST_CELL = 40  # characters, as in the schema of a prompt


@dataclass(frozen=True)
class Turn:
    """A question with its answer.

    `thread`: the questions that it goes on with, itself included. `query`: of a metric, which a follow-up changes by
    rule; None for a query of the model, perhaps with another value. `meant`: the values that the user chose.
    `written`: the query as the model wrote it, without values that were filled in afterwards.
    """

    thread: tuple[str, ...]
    answer: Answer
    query: MetricQuery | None = None
    meant: tuple[Match, ...] = ()
    written: str = ""

    @property
    def question(self) -> str:
        """The question as it was asked."""
        return self.thread[-1]


def say_turns(turns: Sequence[Turn], *, count_tokens: Callable[[str], int], max_tokens: int, with_cells: bool) -> str:
    """Sentences about the last turns for a prompt, in at most `max_tokens` tokens: the last turn, then those before.

    `with_cells`: False leaves out rows, and queries that rules made, whose values come from the database.
    """
    said: list[str] = []
    for number, turn in enumerate(reversed(turns)):
        query = turn.written if with_cells or not turn.answer.by_rule else ""
        if not query:
            break  # its question stands in the question
        plain = f'The query of "{on_one_line(turn.question)}" was: {on_one_line(query)};'
        rows = f"{plain} its first rows: {_rows(turn)};" if with_cells and number == 0 and _rows(turn) else ""
        fitting = [text for text in (rows, plain) if text and count_tokens(" ".join([text, *said])) <= max_tokens]
        if not fitting:
            break
        said.insert(0, fitting[0])
    return " ".join(said)


def asked_together(thread: Sequence[str]) -> str:
    """Questions that go on with each other, as one text."""
    said = [text if text[-1:] in ".,;:?!。？！" else f"{text}," for text in thread[:-1]]
    return " ".join([*said, *thread[-1:]])


def _rows(turn: Turn) -> str:
    rows = turn.answer.result.rows[:SHOWN_ROWS]
    return ", ".join(f"({', '.join(_cell(cell) for cell in row)})" for row in rows)


def _cell(cell: object) -> str:
    text = on_one_line(str(cell))
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}..."
