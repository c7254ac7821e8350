"""Turns a question in a metric's scope into a metric's query. Any other question gets none, and goes to the model."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date

from chaku.sql.glossary.lexicon import Lexicon
from chaku.sql.glossary.query import (
    ByTime,
    Comparison,
    During,
    Filter,
    Group,
    IsIn,
    MetricQuery,
    NoAnswer,
    Reading,
    Unclear,
)
from chaku.sql.glossary.reading import Part, read_parts
from chaku.sql.glossary.scope import Ambiguous, Scope
from chaku.sql.glossary.shape import Shape, sort_parts
from chaku.sql.schema.definition import literal

# The forms of a question without its filters: m the metric, G groups after "by", D the thing that is ranked or chosen.
TOTAL = re.compile("C?m|C?G?m|C?mG?")
RANKED = re.compile(
    "w?(Nn|[tl]n)Dbm"  # top 5 customers by revenue
    "|w?n?D[tl]m|w?n?Dm[tl]"  # which 3 countries have the highest revenue; which country was revenue the highest
    "|bm(Nn|[tl]n?)D"
)
RANKED_IN_CHINESE = re.compile(
    "m[tl]n?D|NnDm|bmNnD|bm[tl]n?D"
)  # the 5 countries of the highest revenue, as Chinese says it
CHOSEN = re.compile("w?D(m>n|>nm)")  # which countries have revenue over 1000; customers with more than 5 orders


def understand(question: str, lexicon: Lexicon, scope: Scope, today: date) -> MetricQuery | NoAnswer | Unclear | None:
    """The metric's query of a question; NoAnswer if the query would count rows twice; None if no rule fits.

    Unclear if it can be read in several ways with different queries.
    """
    return settle(read_parts(question, lexicon, today), lambda parts, scope: _query(parts, lexicon, scope), scope)


Make = Callable[[list[Part], Scope], MetricQuery | NoAnswer | None]


def settle(readings: Iterable[list[Part]], make: Make, scope: Scope) -> MetricQuery | NoAnswer | Unclear | None:
    """What `make` makes of the ways to read a text: one query, or several that differ in a column or as a whole."""
    found: dict[MetricQuery | NoAnswer, str] = {}
    for parts in readings:
        try:
            read = make(parts, scope)
            if read is not None:
                found.setdefault(read, "")
        except Ambiguous as ambiguous:
            for place in ambiguous.places:
                try:
                    read = make(parts, scope.preferring([place]))
                except Ambiguous:  # a second word is unclear, too
                    return None
                if read is None:
                    return None
                found.setdefault(read, _said(place, read))
            if not ambiguous.places:
                return None
    queries = {read: words for read, words in found.items() if isinstance(read, MetricQuery)}
    if len(found) < 2:
        return next(iter(found), None)
    return Unclear(tuple(Reading(words, query) for query, words in queries.items())) if len(queries) > 1 else None


def _said(place: tuple[str, str], read: MetricQuery | NoAnswer) -> str:
    """A column, with the values that a query wants there."""
    name = ".".join(place)
    filters = read.filters if isinstance(read, MetricQuery) else ()
    values = [one.values for one in filters if isinstance(one, IsIn) and (one.table, one.column) == place]
    return f"{name} = {' or '.join(map(literal, values[0]))}" if values else name


def _query(parts: list[Part], lexicon: Lexicon, scope: Scope) -> MetricQuery | NoAnswer | None:
    """The query of one reading."""
    if sum(part.kind == "m" for part in parts) != 1:
        return None
    sorted_parts = without_measures(parts, lexicon)
    if sorted_parts is None or (shape := sort_parts(sorted_parts)) is None:
        return None
    counts = any(part.kind in "qu" for part in parts)  # "how many orders did the top 5 customers make" asks for a sum
    total, ranked = TOTAL.fullmatch(shape.letters) is not None, not counts and _is_ranked(shape)
    chosen = not counts and CHOSEN.fullmatch(shape.letters) is not None
    if not (total or ranked or chosen):
        return None
    if total and not shape.groups and "C" not in shape.letters and _may_be_a_list(parts, lexicon):
        return None
    if _may_be_a_column(parts, (), (), lexicon):
        return None
    groups: list[Group] = []
    filters: list[Filter] = []
    metric, compares = lexicon.metrics[shape.metric], "C" in shape.letters
    for said in shape.filters:
        made = scope.filter(metric, said.items, said.near, said.comparison, said.number)
        if isinstance(made, NoAnswer):
            return made
        filters.append(made)
        if said.joined == "c" or (compares and len(said.items) > 1):
            groups.append(scope.group_of(metric, said.items, made))
        elif said.joined == "a" and not any(scope.groups_filter(metric, part, made) for part in shape.groups):
            return None  # the revenue of Peru and France may mean a sum or two numbers
    if compares and not groups:
        return None
    for part in (*shape.groups, *shape.heads):
        group = scope.group(metric, part)
        if isinstance(group, NoAnswer):
            return group
        if group not in groups:
            groups.append(group)
    if len({scope.filtered_by(one) for one in filters}) < len(filters):
        return None  # two conditions on one column
    if _may_be_a_column(parts, groups, filters, lexicon):
        return None
    query = MetricQuery(shape.metric, tuple(groups), tuple(filters))
    if ranked:
        return _ranked(query, shape)
    return _chosen(query, shape) if chosen else query


def _may_be_a_list(parts: list[Part], lexicon: Lexicon) -> bool:
    """Whether "customers in Peru" may ask for the customers: the metric is called like a table, without "how many"."""
    [metric] = [part for part in parts if part.kind == "m"]
    assert metric.meanings
    is_table = any(column.is_table for column in metric.meanings.columns)
    return is_table and not any(part.kind in "qT" for part in parts)


def _may_be_a_column(parts: list[Part], groups: Sequence[Group], filters: Sequence[Filter], lexicon: Lexicon) -> bool:
    """Whether the metric's words also name a column of another table that the question is about.

    "The average rating of suppliers" is about the suppliers' column, where reviews have a metric "average rating".
    """
    [metric] = [part for part in parts if part.kind == "m"]
    assert metric.meanings
    home = lexicon.metrics[metric.meanings.metrics[0]].table.name
    near = [part.meanings for part in parts if part.kind == "d" and part.meanings]
    tables = {column.table for meanings in near for column in meanings.columns}
    tables |= {one.table for one in (*groups, *filters) if not isinstance(one, ByTime | During)}
    return bool((tables - {home}) & lexicon.tables_with(metric.words))


def _is_ranked(shape: Shape) -> bool:
    in_chinese = shape.chinese_order and RANKED_IN_CHINESE.fullmatch(shape.letters)
    return bool(in_chinese or RANKED.fullmatch(shape.letters))


def _ranked(query: MetricQuery, shape: Shape) -> MetricQuery | None:
    """The groups with the largest or lowest metric; "the countries with the highest revenue" does not say how many."""
    [head] = shape.heads
    if len(query.groups) != 1 or (not shape.numbers and head.plural):
        return None
    text = shape.numbers[0] if shape.numbers else "1"
    if not text.isdigit() or not 0 < int(text) <= 10_000:
        return None
    return MetricQuery(query.metric, query.groups, query.filters, shape.order, int(text))


def _chosen(query: MetricQuery, shape: Shape) -> MetricQuery | None:
    if len(query.groups) != 1:
        return None
    comparison: Comparison = shape.comparison  # type: ignore[assignment]
    return MetricQuery(query.metric, query.groups, query.filters, having=(comparison, shape.numbers[0]))


def without_measures(parts: list[Part], lexicon: Lexicon) -> list[Part] | None:
    """The parts without "total", "how many" and "how much"; None if they do not fit the metric."""
    at = next(number for number, part in enumerate(parts) if part.kind == "m")
    meanings = parts[at].meanings
    assert meanings
    aggregates = lexicon.metrics[meanings.metrics[0]].aggregates
    for number, part in enumerate(parts):
        fits = {"T": aggregates <= {"sum", "count"}, "q": aggregates == {"count"}, "u": aggregates != {"count"}}
        if part.kind in fits and (not fits[part.kind] or number > at):
            return None
    between = any(part.kind == "B" for part in parts)
    if between and not any(part.kind == "C" for part in parts):
        return None
    return [part for part in parts if part.kind not in ("T", "q", "u", "B")]
