"""The records of a metric's query: what a question in a metric's scope asks for."""

from dataclasses import dataclass
from typing import Literal

from chaku.sql.glossary.dates import Period

Grain = Literal["year", "quarter", "month", "day"]
Comparison = Literal[">", "<", ">=", "<="]


@dataclass(frozen=True)
class ByColumn:
    """One row for each value of a column. `rows`: one for each row of the table, which the column names."""

    table: str
    column: str
    rows: bool = False


@dataclass(frozen=True)
class ByTime:
    """One row for each unit of time of the metric's date."""

    unit: Grain


@dataclass(frozen=True)
class IsIn:
    """Rows whose column has one of `values`."""

    table: str
    column: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """Rows whose column compares so with a number, written as in the question."""

    table: str
    column: str
    comparison: Comparison
    number: str


@dataclass(frozen=True)
class During:
    """Rows whose date is in one of the periods."""

    periods: tuple[Period, ...]


Group = ByColumn | ByTime
Filter = IsIn | Compared | During


@dataclass(frozen=True)
class MetricQuery:
    """A metric, in groups, of the rows that fit every filter.

    `order` and `limit`: the groups with the largest ("desc") or lowest metric. `having`: groups whose metric compares
    so.
    """

    metric: str
    groups: tuple[Group, ...] = ()
    filters: tuple[Filter, ...] = ()
    order: Literal["desc", "asc", ""] = ""
    limit: int = 0
    having: tuple[Comparison, str] | None = None


@dataclass(frozen=True)
class Reading:
    """One of several meanings of a question. `words`: how they differ, for the user."""

    words: str
    query: MetricQuery


@dataclass(frozen=True)
class Unclear:
    """The question has several meanings, and none leads."""

    readings: tuple[Reading, ...]


@dataclass(frozen=True)
class NoAnswer:
    """The question is understood, and a query would give a wrong number. `reason`: why."""

    reason: str
