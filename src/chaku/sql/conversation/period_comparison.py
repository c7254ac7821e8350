"""What can be said by rule to "why is March so low?": the numbers beside those of the time before, by another group.

No query can say why. The comparison shows where the number changed, and the answer says that this is all it does.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from chaku.sql.conversation.changes import change
from chaku.sql.conversation.hearing import Heard
from chaku.sql.conversation.periods import before_it, spelled
from chaku.sql.glossary.expressions import Metric
from chaku.sql.glossary.query import ByColumn, ByTime, During, Group, IsIn, MetricQuery, NoAnswer, Reading, Unclear
from chaku.sql.glossary.rules import Rules

MOST_GROUPS = 20  # values of a column that readers can compare
# The words of such a question that name nothing.
_EMPTY = re.compile(
    r"\b(?:is|are|was|were|did|do|does|so|too|very|that|this|it|there|the|low|lower|lowest|high|higher|highest|small|"
    r"large|big|bad|good|weak|strong|little|few|many|much|drop(?:ped)?|fall(?:en)?|fell|rise|rose|risen|grow|grew|grown|"
    r"decrease[ds]?|increase[ds]?|go|went|gone|down|up|less|more|than|ist|sind|war|waren|so|zu|niedrig|hoch|gering|klein|"
    r"groß|gross|schlecht|gut|wenig|viel|gefallen|gesunken|gestiegen|gewachsen|der|die|das|es)\b|这么|那么|很|太|低|高|少|多|"
    r"下降|上升|下跌|增长|了|是|会|的",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Compared:
    """The query to run, and a sentence that says what it shows and what it does not."""

    query: MetricQuery
    words: str


NOTHING = NoAnswer(
    "a query can say how much, when and where, but not why. Ask for numbers to compare, such as a metric by month, or "
    "one period compared with another"
)


def compare(
    before: MetricQuery, heard: Heard, rules: Rules, today: date, keys: Sequence[str], earlier: Sequence[Group]
) -> Compared | NoAnswer | Unclear | None:
    """What to show for a question why the result of a query is so; None if no rule reads the question.

    `earlier`: groups of earlier turns, the last first: the numbers are shown by the first that the query lacks.
    """
    metric = rules.lexicon.metrics[before.metric]
    asked = " ".join(_EMPTY.sub(" ", heard.rest).split())
    asked = re.sub(rf"^(?:{re.escape(metric.name)})\b", "", asked, flags=re.IGNORECASE).strip()
    focus = change(before, replace(heard, rest=asked, marks=frozenset()), rules, today, keys) if asked else before
    if isinstance(focus, Unclear):
        found = [_compared(before, reading.query, rules, earlier) for reading in focus.readings]
        readings = zip(focus.readings, found, strict=True)
        return Unclear(
            tuple(Reading(reading.words, one.query) for reading, one in readings if isinstance(one, Compared))
        )
    if focus is None or isinstance(focus, NoAnswer):
        return focus
    return _compared(before, focus, rules, earlier)


def _compared(before: MetricQuery, focus: MetricQuery, rules: Rules, earlier: Sequence[Group]) -> Compared | NoAnswer:
    metric = rules.lexicon.metrics[focus.metric]
    fixed = {(one.table, one.column) for one in focus.filters if isinstance(one, IsIn) and len(one.values) == 1}
    candidates = [*before.groups, *earlier, *_usual_groups(metric, rules)]
    dimension = next(
        (group for group in candidates if isinstance(group, ByColumn) and (group.table, group.column) not in fixed),
        None,
    )
    periods = [period for one in focus.filters if isinstance(one, During) for period in one.periods]
    previous = before_it(periods[0]) if len(periods) == 1 else None
    plain = replace(focus, groups=(dimension,) if dimension else (), order="", limit=0, having=None)
    by = f" by {dimension.table}.{dimension.column}" if dimension else ""
    if previous is not None:
        filters = tuple(During((previous, periods[0])) if isinstance(one, During) else one for one in focus.filters)
        unit = ByTime(periods[0].unit)  # type: ignore[arg-type]
        shown = f"{spelled(periods[0])} beside {spelled(previous)}{by}"
        return Compared(replace(plain, filters=filters, groups=(*plain.groups, unit)), _said(shown))
    if dimension is None:
        return NOTHING
    return Compared(plain, _said(f"the numbers{by}"))


def _said(shown: str) -> str:
    return f"a query cannot say why; this shows {shown}"


def _usual_groups(metric: Metric, rules: Rules) -> list[ByColumn]:
    """The columns of a few texts that the glossary knows and the metric reaches, the nearest first."""
    reached = rules.scope.reached(metric)
    found: list[tuple[int, ByColumn]] = []
    for table in rules.lexicon.schema.tables:
        if table.name not in reached or reached[table.name].ways != 1:
            continue
        for name in rules.glossary.entry_of(table.name).columns:
            column = next((column.name for column in table.columns if column.name.lower() == name.lower()), "")
            if column and 2 <= rules.lexicon.num_values(table.name, column) <= MOST_GROUPS:
                found.append((reached[table.name].length, ByColumn(table.name, column)))
    usual = [group for _, group in sorted(found, key=lambda pair: pair[0])]
    # A metric with a condition on a column has few of its values.
    return sorted(usual, key=lambda group: group.column in metric.filtered)
