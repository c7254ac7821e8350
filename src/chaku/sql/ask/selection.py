"""Chooses among queries with different results: by votes, by a second look of the model, or by tests on varied data."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chaku.errors import ChakuError
from chaku.sql.ask.candidates import QUERY_CHARS, Candidate, groups, result_key, share_of
from chaku.sql.ask.settings import Select
from chaku.sql.engines.known import ENGINES
from chaku.sql.execute.cost import check_max_cost
from chaku.sql.execute.runner import Result, SQLiteRunner
from chaku.sql.execute.variants import query_constants, write_variants
from chaku.sql.schema.definition import Dialect, on_one_line

SECOND_LOOKS = 3  # texts that judge two results; the first is greedy
SHOWN_ROWS = 3  # of a result in the prompt of a second look
CELL_CHARS = 40  # as in prompts of OmniSQL
NUM_TESTS = 8  # variants of a database, to test queries on
READ_ROWS = 5_000  # of each table for the variants: a large database must not fill the memory
TEST_TIMEOUT = 2.0  # seconds of a query on a variant, which is small


@dataclass(frozen=True)
class Choice:
    """The chosen candidate, the share of samples with its result, and a sentence to the user, mostly empty."""

    candidate: Candidate
    share: float
    note: str = ""


def check_choice(select: Select, max_cost: float | None, num_samples: int, dialect: Dialect) -> None:
    """Raises ChakuError if this database, or this number of samples, does not allow `select` or `max_cost`."""
    check_max_cost(max_cost, dialect)
    if select == "tests" and not ENGINES[dialect].can_vary:
        raise ChakuError(
            f"--select tests varies a SQLite file, and this is {ENGINES[dialect].title}; give --select csc or vote"
        )
    if select != "vote" and num_samples == 1:
        raise ChakuError(f"--select {select} chooses among several queries; give --samples 5, for example")


def two_results(candidates: Sequence[Candidate], *, send_values: bool = True) -> str:
    """The sentences that ask for a second look at the two most frequent results; empty if there are not two results.

    CSC-SQL (Sheng and Xu, 2025) shows its merging model both queries with their results. `send_values`: False shows the
    queries as the model wrote them, and no rows.
    """
    first_two = [group[0] for group in groups(candidates)[:2]]
    if len(first_two) < 2:
        return ""
    shown = (f"Query {number}: {_shown(candidate, send_values)}" for number, candidate in enumerate(first_two, 1))
    return f"Two queries were written, and at least one is wrong. {' '.join(shown)} Write the right query."


def _shown(candidate: Candidate, send_values: bool) -> str:
    if not send_values:
        return f"{on_one_line(candidate.written)[:QUERY_CHARS]};"
    rows = candidate.result.rows
    cells = ", ".join(f"({', '.join(map(_cell, row))})" for row in rows[:SHOWN_ROWS])
    noun = "row" if len(rows) == 1 else "rows"
    more = ", ..." if len(rows) > SHOWN_ROWS else ""
    return f"{on_one_line(candidate.sql)[:QUERY_CHARS]}; gives {len(rows)} {noun}: {cells or 'none'}{more}."


def _cell(cell: Any) -> str:
    text = "NULL" if cell is None else on_one_line(str(cell))
    return text if len(text) <= CELL_CHARS else f"{text[: CELL_CHARS - 1]}…"


def by_votes(candidates: Sequence[Candidate], num_samples: int, looked: Sequence[Candidate] = ()) -> Choice:
    """The most frequent result; after a second look, the one of the two most frequent that most `looked` queries have.

    If no looked query has one of the two results, the first vote stands. A third result is not taken.
    """
    first_two = groups(candidates)[:2]
    votes = {result_key(group[0]): share_of(group, SECOND_LOOKS) for group in groups(looked)}
    best = max(first_two, key=lambda group: votes.get(result_key(group[0]), 0.0))
    return Choice(best[0], share_of(best, num_samples))


def by_tests(candidates: Sequence[Candidate], num_samples: int, database: Path, *, seed: int = 0) -> Choice:
    """The largest group of candidates that agree on a SQLite file and on NUM_TESTS variants of it.

    The variants have other rows and the constants of the queries as values, so that a query that is right by luck
    disagrees. They are copies of at most READ_ROWS rows of each table of the queries, in a temporary folder. A database
    that cannot be varied (a generated column, a virtual table) leaves the choice to the vote, and a note says why.
    """
    ran = {candidate.sql: candidate for candidate in candidates if candidate.result.ok}
    keys: dict[str, list[Any]] = {sql: [result_key(candidate)] for sql, candidate in ran.items()}
    note = ""
    if len(ran) > 1:
        try:
            for result_on in _on_variants(database, list(ran), seed):
                for sql, candidate in ran.items():
                    result = result_on(sql)
                    keys[sql].append(result_key(candidate, result) if result.ok else result.status)
        except sqlite3.Error as error:
            note = f"not tested on other data, for its tables cannot be varied: {error}"
    best = groups(candidates, lambda candidate: tuple(keys[candidate.sql]))[0]
    return Choice(best[0], share_of(best, num_samples), note)


def _on_variants(database: Path, queries: Sequence[str], seed: int) -> Iterator[Callable[[str], Result]]:
    """For each variant, the function from a query to its result."""
    with TemporaryDirectory(prefix="chaku-variants-") as folder, SQLiteRunner() as runner:
        variants = write_variants(
            database,
            Path(folder),
            constants=query_constants(queries),
            num_variants=NUM_TESTS,
            seed=seed,
            read_rows=READ_ROWS,
            queries=queries,
        )
        for path in variants:

            def result_on(sql: str, path: Path = path) -> Result:
                return runner.run(path, sql, timeout=TEST_TIMEOUT)

            yield result_on
