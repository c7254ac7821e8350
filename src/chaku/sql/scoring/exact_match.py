"""Exact set match and hardness, as Spider's evaluation defines them (Yu et al. 2018).

Clauses are compared as sets. Values and DISTINCT do not count, and columns that a foreign key makes equal are the same.
As in the official code, these rules hold for the query and the queries of its set operations. A subquery in a condition
is compared exactly but without values, and a subquery in FROM exactly with values.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from chaku.sql.schema.definition import Schema
from chaku.sql.scoring.clauses import (
    Clauses,
    ColumnUse,
    Condition,
    Conditions,
    Names,
    NotComparable,
    Unit,
    read_clauses,
)

Hardness = Literal["easy", "medium", "hard", "extra"]
LEVELS: tuple[Hardness, ...] = ("easy", "medium", "hard", "extra")


@dataclass(frozen=True)
class ExactMatch:
    """The result of a comparison. `matches` and `hardness` are None if the gold query cannot be read (see `reason`)."""

    matches: bool | None
    hardness: Hardness | None
    reason: str = ""


class Matcher:
    """Compares queries of one database. `keys`: a schema with the foreign keys to merge; default: `schema`."""

    def __init__(self, schema: Schema, keys: Schema | None = None):
        self.names: Names = {
            table.name.lower(): frozenset(column.name.lower() for column in table.columns) for table in schema.tables
        }
        self.merged = merged_columns(keys or schema)
        self._read = lru_cache(maxsize=None)(lambda sql: read_clauses(sql, self.names))

    def compare(self, gold: str, predicted: str) -> ExactMatch:
        """Whether the queries match, and the hardness of the gold query."""
        try:
            wanted = self._read(gold)
        except NotComparable as error:
            return ExactMatch(None, None, f"the gold query {error}")
        level = hardness(wanted)
        try:
            found = self._read(predicted)
        except NotComparable as error:
            return ExactMatch(False, level, f"exact match: it {error}")
        return ExactMatch(_match(self._plain(found), self._plain(wanted)), level)

    def _plain(self, query: Clauses, tables: frozenset[str] | None = None) -> Clauses:
        """The query without DISTINCT, with one name for columns that a foreign key makes equal.

        As in the official code, only columns of the tables in the first FROM are merged, also in the other queries of
        set operations.
        """
        here = tables if tables is not None else frozenset(table for table in query.tables if isinstance(table, str))

        def column(use: ColumnUse) -> ColumnUse:
            name = self.merged.get(use.column) if use.column.split(".")[0] in here else None
            return ColumnUse(use.aggregate, name or use.column)

        def unit(given: Unit) -> Unit:
            return Unit(given.operator, column(given.left), column(given.right) if given.right else None)

        def conditions(given: Conditions) -> Conditions:
            return replace(given, parts=tuple(replace(part, unit=unit(part.unit)) for part in given.parts))

        return replace(
            query,
            select=tuple((aggregate, unit(expression)) for aggregate, expression in query.select),
            distinct=False,
            on=conditions(query.on),
            where=conditions(query.where),
            group=tuple(map(column, query.group)),
            having=conditions(query.having),
            order=(query.order[0], tuple(map(unit, query.order[1]))) if query.order else None,
            set_operation=(query.set_operation[0], self._plain(query.set_operation[1], here))
            if query.set_operation
            else None,
        )


def merged_columns(schema: Schema) -> dict[str, str]:
    """For each column of a foreign key, the first column in the schema that is equal to it by foreign keys."""
    place = {
        f"{table.name}.{column.name}".lower(): index
        for index, (table, column) in enumerate((table, column) for table in schema.tables for column in table.columns)
    }
    groups: list[set[str]] = []
    for table in schema.tables:
        for key in table.foreign_keys:
            for name, reference in zip(key.columns, key.references, strict=False):
                pair = {f"{table.name}.{name}".lower(), f"{key.table}.{reference}".lower()} & place.keys()
                if len(pair) < 2 and name.lower() != reference.lower():
                    continue
                group = next((group for group in groups if group & pair), None)  # like Spider, never merge two groups
                if group is None:
                    groups.append(group := set())
                group |= pair
    return {name: min(group, key=place.__getitem__) for group in groups for name in group}


def _match(found: Clauses, wanted: Clauses) -> bool:
    return (
        Counter(found.select) == Counter(wanted.select)
        and Counter(found.where.parts) == Counter(wanted.where.parts)
        and set(found.where.connectors) == set(wanted.where.connectors)
        and _same_groups(found, wanted)
        and _same_order(found, wanted)
        and _same_set_operation(found, wanted)
        and _keywords(found) == _keywords(wanted)
        and Counter(found.tables) == Counter(wanted.tables)
    )


def _same_groups(found: Clauses, wanted: Clauses) -> bool:
    if not found.group and not wanted.group:
        return True  # the official code ignores a HAVING without GROUP BY, but for its keyword
    columns = [[use.column for use in query.group] for query in (found, wanted)]
    return columns[0] == columns[1] and found.having == wanted.having


def _same_order(found: Clauses, wanted: Clauses) -> bool:
    if not wanted.order:
        return not found.order
    return found.order == wanted.order and found.limit == wanted.limit


def _same_set_operation(found: Clauses, wanted: Clauses) -> bool:
    if not found.set_operation or not wanted.set_operation:
        return found.set_operation == wanted.set_operation
    return found.set_operation[0] == wanted.set_operation[0] and _match(found.set_operation[1], wanted.set_operation[1])


def _conditions(query: Clauses) -> list[Condition]:
    return [part for conditions in (query.on, query.where, query.having) for part in conditions.parts]


def _connectors(query: Clauses) -> list[str]:
    return [word for conditions in (query.on, query.where, query.having) for word in conditions.connectors]


def _keywords(query: Clauses) -> set[str]:
    parts = _conditions(query)
    words = {
        "where": query.where.parts,
        "group": query.group,
        "having": query.having.parts,
        "order": query.order,
        "limit": query.limit,
        "or": "or" in _connectors(query),
        "not": any(part.negated for part in parts),
        "in": any(part.operator == "in" for part in parts),
        "like": any(part.operator == "like" for part in parts),
    }
    found = {word for word, there in words.items() if there} | set(query.join_kinds)
    return (
        found
        | ({query.order[0]} if query.order else set())
        | ({query.set_operation[0]} if query.set_operation else set())
    )


def hardness(query: Clauses) -> Hardness:
    """The hardness of a gold query by Spider's rule: from the numbers of clauses, nested queries and other parts."""
    clauses, nested, others = _num_clauses(query), _num_nested(query), _num_others(query)
    if clauses <= 1 and others == 0 and nested == 0:
        return "easy"
    if nested == 0 and ((others <= 2 and clauses <= 1) or (clauses <= 2 and others < 2)):
        return "medium"
    if (nested == 0 and ((others > 2 and clauses <= 2) or (clauses == 3 and others <= 2))) or (
        clauses <= 1 and others == 0 and nested <= 1
    ):
        return "hard"
    return "extra"


def _num_clauses(query: Clauses) -> int:
    there = (query.where.parts, query.group, query.order, query.limit)
    likes = sum(part.operator == "like" for part in _conditions(query))
    return sum(map(bool, there)) + max(len(query.tables) - 1, 0) + _connectors(query).count("or") + likes


def _num_nested(query: Clauses) -> int:
    values = (value for part in _conditions(query) for value in part.values)
    return sum(isinstance(value, Clauses) for value in values) + (query.set_operation is not None)


def _num_others(query: Clauses) -> int:
    def aggregates(uses: Iterable[ColumnUse | None]) -> int:
        return sum(bool(use and use.aggregate) for use in uses)

    count = sum(bool(aggregate) for aggregate, _ in query.select) + aggregates(query.group)
    if query.order:
        count += aggregates(use for unit in query.order[1] for use in (unit.left, unit.right))
    # The official code counts a condition's NOT as an aggregate, and counts AND and OR in HAVING too.
    count += sum(part.negated for part in (*query.where.parts, *query.having.parts)) + len(query.having.connectors)
    num_conditions = len(query.where.parts) + len(query.where.connectors)
    return sum(number > 1 for number in (count, len(query.select), num_conditions, len(query.group)))
