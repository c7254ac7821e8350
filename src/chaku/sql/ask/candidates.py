"""The queries that samples wrote for one question: checks, corrects and runs them, and groups them by result."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from chaku.sql.ask.replies import extract_sql
from chaku.sql.execute.check import check
from chaku.sql.execute.fix import fix
from chaku.sql.execute.runner import Result
from chaku.sql.schema.definition import Schema, on_one_line

EMPTY_WEIGHT = 0.5  # of a vote for no rows or only NULLs: such a query often has a condition that nothing fits
QUERY_CHARS = 600  # of a query in the next prompt
REASON_CHARS = 400  # of an engine's message in the next prompt


@dataclass(frozen=True)
class Candidate:
    """One query. `written`: as `votes` samples wrote it. `sql`: as it ran, after corrections of names (`changes`).

    `ran`: whether the database ran it, so that `result.reason` may be the database's own message.
    """

    written: str
    sql: str
    votes: int
    result: Result
    changes: tuple[str, ...] = ()
    ran: bool = True


def try_texts(
    texts: Sequence[str],
    schema: Schema,
    run: Callable[[str], Result],
    *,
    mend: bool = True,
    change: Callable[[str], tuple[str, tuple[str, ...]]] = lambda sql: (sql, ()),
) -> Iterator[Candidate]:
    """The different queries in the samples' texts, with their results, as they are run.

    `mend`: correct misspelt names, and do not run a query whose names do not fit the schema. Otherwise every query
    runs as written. `change`: changes a query just before it runs; returns the query, and sentences about the changes.
    """
    for written, votes in Counter(extract_sql(text) for text in texts).items():
        sql, fixes = fix(written, schema) if mend else (written, [])
        problems = check(sql, schema) if mend else []
        wrong = "; ".join(problem.message for problem in problems[:3])
        sql, changes = (sql, ()) if problems else change(sql)
        result = Result("failed", wrong) if problems else run(sql)
        yield Candidate(written, sql, votes, result, (*fixes, *changes), ran=not problems)


def trouble_with(candidates: Sequence[Candidate], *, empty: bool = False) -> str:
    """What is wrong with the first query, for the next prompt; an empty text if some query ran.

    `empty`: it is also wrong if every query that ran gives nothing.
    """
    ran = [candidate for candidate in candidates if candidate.result.ok]
    if not ran:
        return wrong_query(candidates[0].sql, candidates[0].result.reason)
    if empty and all(gives_nothing(candidate) for candidate in ran):
        return no_rows(ran[0].sql)
    return ""


def wrong_query(sql: str, reason: str) -> str:
    """The sentences about a query that failed. A prompt has room for long queries and for the engine's message."""
    return f"This query is wrong: {on_one_line(sql)[:QUERY_CHARS]}. {on_one_line(reason)[:REASON_CHARS]}."


def no_rows(sql: str) -> str:
    """The sentences about a query that ran and gave nothing."""
    return f"This query gives no rows: {on_one_line(sql)[:QUERY_CHARS]}. A condition or a join in it fits no row."


def gives_nothing(candidate: Candidate) -> bool:
    """Whether a query ran and returned no rows, or only NULLs."""
    return candidate.result.ok and all(cell is None for row in candidate.result.rows for cell in row)


def groups(candidates: Sequence[Candidate], key: Callable[[Candidate], Any] | None = None) -> list[list[Candidate]]:
    """The candidates that ran, together by an equal `key` (default: by result), the group with most votes first.

    Ties keep the order of the candidates. A group that gives nothing counts EMPTY_WEIGHT of its votes.
    """
    found: dict[Any, list[Candidate]] = {}
    for candidate in candidates:
        if candidate.result.ok:
            found.setdefault((key or result_key)(candidate), []).append(candidate)

    def weight(group: list[Candidate]) -> float:
        return sum(candidate.votes for candidate in group) * (EMPTY_WEIGHT if gives_nothing(group[0]) else 1.0)

    return sorted(found.values(), key=weight, reverse=True)


def share_of(group: Sequence[Candidate], num_samples: int) -> float:
    """The share of samples that wrote one of these candidates."""
    return min(sum(candidate.votes for candidate in group) / num_samples, 1.0)


def result_key(candidate: Candidate, result: Result | None = None) -> Any:
    """A key that is equal for equal results. Ignores column names, and the order of rows unless the query sorts.

    `result`: of the candidate's query on another database (default: its own result).
    """
    rows = [tuple(map(_comparable, row)) for row in (result or candidate.result).rows]
    ordered = re.search(r"\border\s+by\b", candidate.sql, re.IGNORECASE) is not None
    return tuple(rows) if ordered else frozenset(Counter(rows).items())


def _comparable(cell: Any) -> Any:
    if isinstance(cell, bool) or cell is None or isinstance(cell, bytes):
        return (type(cell).__name__, cell)
    if isinstance(cell, int | float | Decimal):
        number = float(cell)
        return ("number", round(number, 6) if math.isfinite(number) else str(number))
    return ("text", str(cell))
