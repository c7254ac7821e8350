"""Changes a metric's query as a follow-up says, by rule: its groups, values, periods, ranking, or the metric."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import partial

from chaku.sql.conversation.hearing import Heard
from chaku.sql.conversation.periods import dated
from chaku.sql.glossary.expressions import Metric
from chaku.sql.glossary.query import (
    ByColumn,
    ByTime,
    During,
    Filter,
    Group,
    IsIn,
    MetricQuery,
    NoAnswer,
    Reading,
    Unclear,
)
from chaku.sql.glossary.questions import settle, without_measures
from chaku.sql.glossary.reading import Part, read_parts
from chaku.sql.glossary.rules import Rules
from chaku.sql.glossary.scope import Ambiguous, Contradiction, Scope
from chaku.sql.glossary.shape import Said, Shape, sort_parts

# The forms of a follow-up without its groups and filters; see `questions`. "By orders instead" is bm.
FORMS = re.compile("(b?m)?(w?D|w?NnD?|w?[tl]n?D?|w?n?D[tl])?(b?m)?|(w?D)?(m>n|>nm?)")


def change(
    before: MetricQuery, heard: Heard, rules: Rules, today: date, keys: Sequence[str] = ()
) -> MetricQuery | NoAnswer | Unclear | None:
    """The query that a follow-up means; None if no rule fits, since a word of the follow-up is unknown.

    A group takes the place of the groups before, unless the user adds it. A value or period takes the place of others
    on its column. A column of the query before is meant rather than another of the same name. `keys`: see `dated`.
    """
    if "all" in heard.marks and not heard.rest:
        return replace(before, order="", limit=0, having=None)
    texts = dated(heard.plain, before, keys)
    read = [(text, _read(before, heard, text, rules, today)) for text in texts]
    if len(read) == 1:
        return read[0][1]
    readings = [Reading(text, query) for text, query in read if isinstance(query, MetricQuery)]
    return Unclear(tuple(readings)) if len(readings) == len(read) > 1 else None


def _read(
    before: MetricQuery, heard: Heard, text: str, rules: Rules, today: date
) -> MetricQuery | NoAnswer | Unclear | None:
    used = [
        (one.table, one.column) for one in (*before.groups, *before.filters) if not isinstance(one, ByTime | During)
    ]
    make, scope = partial(_make, before, heard, rules), rules.scope.preferring(used)
    readings = list(read_parts(text, rules.lexicon, today))
    same, other = (
        settle([parts for parts in readings if any(part.kind == "m" for part in parts) == named], make, scope)
        for named in (False, True)
    )
    if same is None or other is None:
        return other if same is None else same
    # In "paid orders only", "for customers with age over 60" and "top 3 customers", they are rows, and no other metric.
    narrows = heard.marks & {"narrows", "corrects"} or heard.begins_inside
    if narrows or (isinstance(same, MetricQuery) and same.groups != before.groups):
        return same
    if not isinstance(same, MetricQuery):
        return other
    both = [Reading("", query) for query in (same, other) if isinstance(query, MetricQuery)]
    return Unclear(tuple(both)) if len(both) > 1 else same


def _make(
    before: MetricQuery, heard: Heard, rules: Rules, parts: list[Part], scope: Scope
) -> MetricQuery | NoAnswer | None:
    """The query of one reading. Raises Ambiguous."""
    named = [part for part in parts if part.kind == "m"]
    if len(named) > 1:
        return None
    in_total = any(part.kind == "T" for part in parts)
    sorted_parts = without_measures(parts, rules.lexicon) if named else _without_counts(before, parts, rules)
    if not sorted_parts or (shape := sort_parts(sorted_parts)) is None:
        return replace(before, groups=(), order="", limit=0, having=None) if in_total and sorted_parts == [] else None
    if not FORMS.fullmatch(re.sub("[CG]", "", shape.letters)):
        return None
    metric = rules.lexicon.metrics[shape.metric or before.metric]
    groups = _groups(before, heard, shape, metric, scope)
    filters = _filters(before, heard, shape, metric, scope)
    if isinstance(groups, NoAnswer):
        return groups
    if isinstance(filters, NoAnswer):
        return filters
    all_filters, compared = filters
    groups = () if in_total and not shape.groups else groups
    groups = tuple(dict.fromkeys((*groups, *compared)))
    for one in (*groups, *all_filters):
        if why := _misfit(metric, one, scope):
            return NoAnswer(f"{metric.name} cannot go on from the question before: {why}")
    query = MetricQuery(metric.name, groups, all_filters)
    return _ranked(before, query, shape)


def _without_counts(before: MetricQuery, parts: list[Part], rules: Rules) -> list[Part] | None:
    """The parts without "how many", "how much" and "total"; None if they do not fit the metric before."""
    counts = rules.lexicon.metrics[before.metric].aggregates == {"count"}
    if any(part.kind == ("u" if counts else "q") for part in parts):
        return None
    return [part for part in parts if part.kind not in "quT"]


def _groups(
    before: MetricQuery, heard: Heard, shape: Shape, metric: Metric, scope: Scope
) -> tuple[Group, ...] | NoAnswer:
    said: list[Group] = []
    for part in (*shape.groups, *shape.heads):
        group = scope.group(metric, part)
        if isinstance(group, NoAnswer):
            return group
        said.append(group)
    if not said or "adds" in heard.marks:
        return (*before.groups, *said)
    compared = [group for group in before.groups if _is_compared(before, group)]  # "by month" of Peru and of France
    return tuple(dict.fromkeys((*said, *(group for group in compared if not _same_kind(group, said)))))


def _is_compared(query: MetricQuery, group: Group) -> bool:
    """Whether a filter has several values or periods, and the group has a row for each."""
    for one in query.filters:
        if isinstance(one, During) and isinstance(group, ByTime) and len(one.periods) > 1:
            return True
        if isinstance(one, IsIn) and len(one.values) > 1 and one in _about(group, query.filters):
            return True
    return False


def _about(group: Group, filters: Sequence[Filter]) -> list[Filter]:
    """The filters of a group's column."""
    place = (group.table, group.column) if isinstance(group, ByColumn) else None
    return [one for one in filters if not isinstance(one, During) and (one.table, one.column) == place]


def _same_kind(group: Group, said: Sequence[Group]) -> bool:
    return isinstance(group, ByTime) and any(isinstance(other, ByTime) for other in said)


def _filters(
    before: MetricQuery, heard: Heard, shape: Shape, metric: Metric, scope: Scope
) -> tuple[tuple[Filter, ...], list[Group]] | NoAnswer:
    """The filters, and the groups that compare their values. Raises Ambiguous."""
    filters = {scope.filtered_by(one): one for one in before.filters}
    compared: list[Group] = []
    said_about: set[tuple[str, str]] = set()
    for said in shape.filters:
        try:
            made = scope.filter(metric, said.items, said.near, said.comparison, said.number)
        except Contradiction:
            return NoAnswer(f"{metric} has its own condition, which {said.items[0].words!r} may contradict")
        if isinstance(made, NoAnswer):
            return made
        about = scope.filtered_by(made)
        if about in said_about:
            raise Ambiguous  # two conditions on one column
        said_about.add(about)
        joined = heard.marks & {"adds", "compares"} and about in filters
        if joined:
            made = _union(filters[about], made)
        elif "compares" in heard.marks:
            raise Ambiguous  # there is nothing to compare with
        if joined or _several(said, shape):
            compared.append(scope.group_of(metric, said.items, made))
        elif said.joined == "a" and not _groups_by(before, about):
            raise Ambiguous  # the revenue of Peru and France may mean a sum or two numbers
        filters[about] = made
    return tuple(filters.values()), compared


def _several(said: Said, shape: Shape) -> bool:
    return said.joined == "c" or ("C" in shape.letters and len(said.items) > 1)


def _groups_by(query: MetricQuery, about: tuple[str, str]) -> bool:
    return any(
        about == ("", "date") if isinstance(group, ByTime) else (group.table, group.column) == about
        for group in query.groups
    )


def _union(one: Filter, other: Filter) -> Filter:
    if isinstance(one, IsIn) and isinstance(other, IsIn):
        return replace(one, values=tuple(dict.fromkeys((*one.values, *other.values))))
    if isinstance(one, During) and isinstance(other, During):
        return During(tuple(dict.fromkeys((*one.periods, *other.periods))))
    raise Ambiguous


def _misfit(metric: Metric, one: Group | Filter, scope: Scope) -> str:
    """Why a group or a filter of the query before cannot stay with a metric; "" if it can."""
    if isinstance(one, ByTime | During):
        form = scope.date_form(metric)
        fits = form == "date" or (form and isinstance(one, ByTime) and one.unit == "year")
        return "" if fits or (form and isinstance(one, During)) else f"{metric.table.name} has no such date"
    reach = scope.reached(metric).get(one.table)
    if reach is None or reach.ways != 1:
        return f"{metric.table.name} does not have one {one.table} for each row"
    if isinstance(one, IsIn) and scope.contradicts(metric, one.table, one.column, one.values):
        return f"{metric} has its own condition on {one.column}"
    return ""


def _ranked(before: MetricQuery, query: MetricQuery, shape: Shape) -> MetricQuery | None:
    """The query with the ranking that is said, or with the one before where it still fits."""
    if ">" in shape.letters:
        comparison = (shape.comparison, shape.numbers[0])
        return replace(query, having=comparison) if len(query.groups) == 1 else None  # type: ignore[arg-type]
    if re.search("[Ntl]", shape.letters):
        text = shape.numbers[0] if shape.numbers else "1"
        plural = bool(shape.heads) and shape.heads[0].plural and not shape.numbers
        if len(query.groups) != 1 or plural or not text.isdigit() or not 0 < int(text) <= 10_000:
            return None
        return replace(query, order=shape.order, limit=int(text))
    if query.groups == before.groups:
        return replace(query, order=before.order, limit=before.limit, having=before.having)
    if len(query.groups) == 1 and isinstance(query.groups[0], ByColumn):
        return replace(query, order=before.order, limit=before.limit)
    return query
