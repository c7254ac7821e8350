"""The queries that samples wrote for one question: checks, corrects and runs them, and votes by result."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from chaku.sql.ask.replies import extract_sql
from chaku.sql.execute.check import check, fix
from chaku.sql.execute.runner import Result
from chaku.sql.schema.definition import Schema
from chaku.sql.schema.introspect import one_line

EMPTY_WEIGHT = 0.5  # of a vote for no rows or only NULLs: such a query often has a condition that nothing fits


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
    fill: Callable[[str], str] = str,
) -> Iterator[Candidate]:
    """The different queries in the samples' texts, with their results, as they are run.

    `mend`: correct misspelt names, and do not run a query whose names do not fit the schema. Otherwise every query
    runs as written. `fill`: changes a query just before it runs.
    """
    for written, votes in Counter(extract_sql(text) for text in texts).items():
        sql, changes = fix(written, schema) if mend else (written, [])
        problems = check(sql, schema) if mend else []
        wrong = "; ".join(problem.message for problem in problems[:3])
        sql = sql if problems else fill(sql)
        result = Result("failed", wrong) if problems else run(sql)
        yield Candidate(written, sql, votes, result, tuple(changes), ran=not problems)


def trouble_with(candidates: Sequence[Candidate]) -> str:
    """The first failed query and its error, for the next prompt; empty if some query ran."""
    failed = [candidate for candidate in candidates if not candidate.result.ok]
    if len(failed) < len(candidates):
        return ""
    return one_line(f"This query is wrong: {failed[0].sql}. {failed[0].result.reason}.")


def vote(candidates: Sequence[Candidate], num_samples: int) -> tuple[Candidate, float]:
    """The candidate with the most common result, and the share of samples with this result; ties go to the first."""
    groups: dict[Any, list[Candidate]] = {}
    for candidate in candidates:
        if candidate.result.ok:
            groups.setdefault(result_key(candidate), []).append(candidate)

    def weight(group: list[Candidate]) -> float:
        rows = group[0].result.rows
        empty = all(cell is None for row in rows for cell in row)
        return sum(candidate.votes for candidate in group) * (EMPTY_WEIGHT if empty else 1.0)

    best = max(groups.values(), key=weight)
    return best[0], min(sum(candidate.votes for candidate in best) / num_samples, 1.0)


def result_key(candidate: Candidate) -> Any:
    """A key that is equal for equal results. Ignores column names, and the order of rows unless the query sorts."""
    rows = [tuple(map(_comparable, row)) for row in candidate.result.rows]
    ordered = re.search(r"\border\s+by\b", candidate.sql, re.IGNORECASE) is not None
    return tuple(rows) if ordered else frozenset(Counter(rows).items())


def _comparable(cell: Any) -> Any:
    if isinstance(cell, bool) or cell is None or isinstance(cell, bytes):
        return (type(cell).__name__, cell)
    if isinstance(cell, int | float | Decimal):
        number = float(cell)
        return ("number", round(number, 6) if math.isfinite(number) else str(number))
    return ("text", str(cell))
