"""Sorts the parts of a question: its form, what it groups by, and its filters."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from chaku.sql.glossary.reading import Part


@dataclass
class Shape:
    """A question while its parts are sorted: the form in letters, groups, and filters."""

    letters: str = ""
    metric: str = ""
    heads: list[Part] = field(default_factory=list)
    groups: list[Part] = field(default_factory=list)
    filters: list["Said"] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    comparison: str = ""
    order: Literal["desc", "asc"] = "desc"
    chinese_order: bool = False


@dataclass(frozen=True)
class Said:
    """A filter as it was said: values, periods, or a comparison (`number`). `near`: columns and tables beside it.

    `joined`: how several are joined: "a" and, "o" or, "c" compared with.
    """

    items: tuple[Part, ...]
    near: tuple[Part, ...] = ()
    joined: str = ""
    comparison: str = ""
    number: str = ""


def sort_parts(parts: list[Part]) -> Shape | None:
    """The form, groups and filters of a question; None if a part stands where no rule expects it."""
    shape = Shape()
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


def _keep(part: Part, shape: Shape) -> None:
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


def _by(parts: list[Part], at: int, shape: Shape) -> int:
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


def _filter(parts: list[Part], at: int, shape: Shape) -> int:
    """Read a filter: "customers in Peru", "Peru", "price over 100", "2023 and 2024". Returns the next place, or -1."""
    near: list[Part] = []
    while at < len(parts) and parts[at].kind == "d" and len(near) < 2:
        near.append(parts[at])
        at += 1
    here = parts[at].kind if at < len(parts) else ""
    if near and here == ">" and at + 1 < len(parts) and parts[at + 1].kind == "n":
        shape.filters.append(Said((), tuple(near), comparison=parts[at].unit, number=parts[at + 1].words))
        return at + 2
    if near and here == "n":
        shape.filters.append(Said((), tuple(near), comparison="=", number=parts[at].words))
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
    shape.filters.append(Said(tuple(items), tuple(near), "".join(joins)))
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
