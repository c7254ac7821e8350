"""The conditions of a query that a follow-up may change: a column equals a text, or a date lies in a period."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlglot import exp

from chaku.sql.glossary.dates import Period

Form = Literal["value", "lower", "upper", "year", "month", "day", "any unit", "first day", "next day", "last day"]
Place = tuple[str, str]  # a table and its column
LENGTHS = {"year": 4, "month": 7, "day": 10}  # of a unit of time, written as the beginning of a day


@dataclass(frozen=True)
class Slot:
    """A literal of a query, and how a new value or period is written there, between the texts `before` and `after`."""

    literal: exp.Literal
    form: Form
    before: str = ""
    after: str = ""

    def text(self, new: str | Period) -> str | None:
        """The new literal; None if this form cannot say the period."""
        said = new if isinstance(new, str) else self._period(new)
        if said is None:
            return None
        return self.before + {"lower": said.lower(), "upper": said.upper()}.get(self.form, said) + self.after

    def _period(self, period: Period) -> str | None:
        if self.form in ("next day", "last day"):
            if period.end is None:
                return None
            return (period.end - timedelta(days=self.form == "last day")).isoformat()
        if period.start is None:
            return None
        if self.form == "first day":
            return period.start.isoformat()
        if self.form != "any unit" and self.form != period.unit:
            return None
        return period.start.isoformat()[: LENGTHS[period.unit]] if period.unit in LENGTHS else None


@dataclass(frozen=True)
class Condition:
    """What a query asks of one column: a text, or a `period`. `slots`: the literals that say it.

    `said`: the old text or period, for a reader.
    """

    place: Place
    said: str
    slots: tuple[Slot, ...]
    period: Period | None = None

    def fits(self, new: str | Period) -> bool:
        """Whether every literal can be written anew."""
        if isinstance(new, Period) and self.period:
            same_ends = [(self.period.start is None, self.period.end is None), (new.start is None, new.end is None)]
            if same_ends[0] != same_ends[1]:
                return False
        return all(slot.text(new) is not None for slot in self.slots)


@dataclass(frozen=True)
class Conditions:
    """The `known` conditions, and the places of conditions that no rule understands, such as `country <> 'Peru'`."""

    known: tuple[Condition, ...]
    unknown: frozenset[Place]
