"""Turns a question in a metric's scope into a metric's query. Any other question gets none, and goes to the model."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from chaku.sql.glossary.lexicon import Lexicon
from chaku.sql.glossary.query import ByTime, Comparison, During, Filter, Group, MetricQuery, NoAnswer
from chaku.sql.glossary.reading import Part, read_parts
from chaku.sql.glossary.scope import Ambiguous, Scope

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


@dataclass
class _Shape:
    """A question while its parts are sorted: the form in letters, groups, and filters."""

    letters: str = ""
    metric: str = ""
    heads: list[Part] = field(default_factory=list)
    groups: list[Part] = field(default_factory=list)
    filters: list["_Said"] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    comparison: str = ""
    order: Literal["desc", "asc"] = "desc"
    chinese_order: bool = False


@dataclass(frozen=True)
class _Said:
    """A filter as it was said: values, periods, or a comparison (`number`). `near`: columns and tables beside it.

    `joined`: how several are joined: "a" and, "o" or, "c" compared with.
    """

    items: tuple[Part, ...]
    near: tuple[Part, ...] = ()
    joined: str = ""
    comparison: str = ""
    number: str = ""


def understand(question: str, lexicon: Lexicon, scope: Scope, today: date) -> MetricQuery | NoAnswer | None:
    """The metric's query of a question; NoAnswer if the query would count rows twice; None if no rule fits.

    A question that can be read in two ways with two queries gets none.
    """
    found: list[MetricQuery | NoAnswer] = []
    for parts in read_parts(question, lexicon, today):
        try:
            read = _query(parts, lexicon, scope)
        except Ambiguous:
            return None
        if read is not None and read not in found:
            found.append(read)
    return found[0] if len(found) == 1 else None


def _query(parts: list[Part], lexicon: Lexicon, scope: Scope) -> MetricQuery | NoAnswer | None:
    """The query of one reading."""
    if sum(part.kind == "m" for part in parts) != 1:
        return None
    sorted_parts = _without_measures(parts, lexicon)
    if sorted_parts is None or (shape := _sort(sorted_parts)) is None:
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


def _is_ranked(shape: _Shape) -> bool:
    in_chinese = shape.chinese_order and RANKED_IN_CHINESE.fullmatch(shape.letters)
    return bool(in_chinese or RANKED.fullmatch(shape.letters))


def _ranked(query: MetricQuery, shape: _Shape) -> MetricQuery | None:
    """The groups with the largest or lowest metric; "the countries with the highest revenue" does not say how many."""
    [head] = shape.heads
    if len(query.groups) != 1 or (not shape.numbers and head.plural):
        return None
    text = shape.numbers[0] if shape.numbers else "1"
    if not text.isdigit() or not 0 < int(text) <= 10_000:
        return None
    return MetricQuery(query.metric, query.groups, query.filters, shape.order, int(text))


def _chosen(query: MetricQuery, shape: _Shape) -> MetricQuery | None:
    if len(query.groups) != 1:
        return None
    comparison: Comparison = shape.comparison  # type: ignore[assignment]
    return MetricQuery(query.metric, query.groups, query.filters, having=(comparison, shape.numbers[0]))


def _without_measures(parts: list[Part], lexicon: Lexicon) -> list[Part] | None:
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


def _sort(parts: list[Part]) -> _Shape | None:
    """The form, groups and filters of a question; None if a part stands where no rule expects it."""
    shape = _Shape()
    ranks = any(part.kind in "tlN" for part in parts) or _chooses(parts)
    marked = any(_is_head(parts, number) for number in range(len(parts)))
    at, first = 0, True
    while at < len(parts):
        part = parts[at]
        follows = parts[at + 1] if at + 1 < len(parts) else None
        if part.kind == "b":
            at = _by(parts, at, shape)
        elif part.kind in ("d", "g") and (_is_head(parts, at) or (ranks and not marked and first and not shape.heads)):
            shape.heads.append(part)
            shape.letters += "D"
            at += 1
        elif part.kind in ("d", "v", "p"):
            at = _filter(parts, at, shape)
        elif part.kind == ",":
            at += 1
        elif part.kind == "a":  # between two filters
            if follows is None or follows.kind not in "vpd" or not (shape.filters or shape.groups):
                return None
            at += 1
        elif part.kind in "mtlNnwC>":
            _keep(part, shape)
            at += 1
        else:
            return None
        if at < 0:
            return None
        first = first and part.kind in "mwvp"
    return shape if shape.letters.count("D") <= 1 and shape.letters.count("G") <= 1 else None


def _chooses(parts: list[Part]) -> bool:
    """Whether the metric is compared with a number: "with revenue over 1000", "with more than 5 orders"."""
    return re.search("m>n|>nm", "".join(part.kind for part in parts)) is not None


def _is_head(parts: list[Part], at: int) -> bool:
    """Whether a column or table is what is ranked: "which country", "top 5 countries", "5 countries with"."""
    return parts[at].kind in ("d", "g") and at > 0 and parts[at - 1].kind in "wntl"


def _keep(part: Part, shape: _Shape) -> None:
    shape.letters += part.kind
    if part.kind == "m":
        assert part.meanings
        shape.metric = part.meanings.metrics[0]
    elif part.kind == "n":
        shape.numbers.append(part.words)
    elif part.kind == ">":
        shape.comparison = part.unit
    elif part.kind in "tlN":
        shape.order = "asc" if part.kind == "l" else "desc"
        shape.chinese_order = part.chinese


def _by(parts: list[Part], at: int, shape: _Shape) -> int:
    """Read what follows "by": groups, or the metric of a ranking, or a value. Returns the next place, or -1."""
    at += 1
    if at == len(parts):
        return -1
    if parts[at].kind == "m":
        shape.letters += "b"
        return at
    if parts[at].kind == "v":
        return at
    more = at
    while more < len(parts) and parts[more].kind in ("d", "g"):
        shape.groups.append(parts[more])
        at = more = more + 1
        while more < len(parts) and parts[more].kind in ("a", ",", "b"):
            more += 1
        if more == at:  # in "by district of the country Japan", the country belongs to Japan
            break
    if not shape.groups or "G" in shape.letters:
        return -1
    last, follows = shape.groups[-1], parts[at].kind if at < len(parts) else ""
    is_table = last.meanings is not None and any(column.is_table for column in last.meanings.columns)
    if last.plural and is_table and follows in ("v", "d"):
        return -1  # "orders by customers in Peru" may be one number
    shape.letters += "G"
    return at


def _filter(parts: list[Part], at: int, shape: _Shape) -> int:
    """Read a filter: "customers in Peru", "Peru", "price over 100", "2023 and 2024". Returns the next place, or -1."""
    near: list[Part] = []
    while at < len(parts) and parts[at].kind == "d" and len(near) < 2:
        near.append(parts[at])
        at += 1
    here = parts[at].kind if at < len(parts) else ""
    if near and here == ">" and at + 1 < len(parts) and parts[at + 1].kind == "n":
        shape.filters.append(_Said((), tuple(near), comparison=parts[at].unit, number=parts[at + 1].words))
        return at + 2
    if near and here == "n":
        shape.filters.append(_Said((), tuple(near), comparison="=", number=parts[at].words))
        return at + 1
    if here not in ("v", "p") or (near and here == "p"):
        return -1
    items, joins, at = _list(parts, at)
    follows = parts[at] if at < len(parts) else None
    if here == "v" and not near and follows is not None and follows.kind == "d" and not _is_head(parts, at):
        after = parts[at + 1].kind if at + 1 < len(parts) else ""
        if after not in ("v", ">", "n", "d"):  # "Peru customers"
            near.append(follows)
            at += 1
    if len(joins) > 1 or (len(items) > 1 and not joins):
        return -1
    shape.filters.append(_Said(tuple(items), tuple(near), "".join(joins)))
    return at


def _list(parts: list[Part], at: int) -> tuple[list[Part], set[str], int]:
    """The values or periods that "and", "or", "vs" and commas join, how they are joined, and the next place."""
    items, joins = [parts[at]], set()
    at += 1
    while at + 1 < len(parts):
        more, said = at, set()
        while more < len(parts) and parts[more].kind in ("a", "o", "c", ","):
            said.add(parts[more].kind)
            more += 1
        if more == at or more == len(parts) or parts[more].kind != items[0].kind:
            break
        if not said & {"o", "c"} and not _share_a_column(items[0], parts[more]):
            break
        items.append(parts[more])
        joins |= said - {","}
        at = more + 1
    return items, joins, at


def _share_a_column(one: Part, other: Part) -> bool:
    if one.kind == "p":
        return True
    return bool(_places(one) & _places(other))


def _places(part: Part) -> set[tuple[str, str]]:
    values: Iterable = part.meanings.values if part.meanings else ()
    return {(value.table, value.column) for value in values}
