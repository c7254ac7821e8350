"""Joins that count no row twice: from each row of a table to at most one row of another table."""

import heapq
import re
from dataclasses import dataclass

from chaku.sql.glossary.file import Glossary
from chaku.sql.schema.definition import Schema, Table

JOIN = re.compile(r"\s*(.+)\.([^.=]+?)\s*=\s*(.+)\.([^.=]+?)\s*")
PREFERRED, USUAL = 1, 2  # the length of a join: a glossary's join is the shorter way


@dataclass(frozen=True)
class Join:
    """Each row of `child` has at most one row of `parent`, with equal `pairs` of columns (child's, parent's)."""

    child: str
    parent: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Reach:
    """A table that can be reached. `ways`: the number of equally short ways; 1 if it is clear which rows are meant."""

    length: int
    path: tuple[Join, ...]
    ways: int = 1


def find_table(schema: Schema, name: str) -> Table | None:
    """A table by its name, without regard to case."""
    return next((table for table in schema.tables if table.name.lower() == name.lower()), None)


def find_column(table: Table, name: str) -> str | None:
    """A column's name as the schema spells it, without regard to case."""
    return next((column.name for column in table.columns if column.name.lower() == name.lower()), None)


def parse_join(text: str, schema: Schema) -> Join | None:
    """A glossary's join "orders.customer_id = customers.id"; None if it has another form or names nothing."""
    if not (match := JOIN.fullmatch(text)):
        return None
    child, parent = find_table(schema, match[1]), find_table(schema, match[3])
    if child is None or parent is None or child is parent:
        return None
    columns = find_column(child, match[2]), find_column(parent, match[4])
    if columns[0] is None or columns[1] is None:
        return None
    return Join(child.name, parent.name, ((columns[0], columns[1]),))


def primary_key(table: Table) -> list[str]:
    """The names of the primary key's columns."""
    return [column.name for column in table.columns if column.primary_key]


class Joins:
    """The joins of a schema: foreign keys that refer to a primary key, and the glossary's joins, which go first."""

    def __init__(self, schema: Schema, glossary: Glossary):
        lengths: dict[Join, int] = {}
        for table in schema.tables:
            for key in table.foreign_keys:
                parent = find_table(schema, key.table)
                if parent is None or parent is table or len(key.columns) != len(key.references):
                    continue
                if sorted(map(str.lower, key.references)) != sorted(map(str.lower, primary_key(parent))):
                    continue
                pairs = zip(key.columns, key.references, strict=True)
                found = [(find_column(table, one), find_column(parent, other)) for one, other in pairs]
                known = tuple((one, other) for one, other in found if one is not None and other is not None)
                if len(known) == len(found):
                    lengths[Join(table.name, parent.name, known)] = USUAL
        preferred = (parse_join(text, schema) for text in glossary.joins)
        lengths.update(dict.fromkeys((join for join in preferred if join), PREFERRED))
        self._lengths = lengths

    def from_table(self, table: str) -> dict[str, Reach]:
        """All tables with at most one row for each row of `table`, by the shortest way."""
        reached = {table: Reach(0, ())}
        queue: list[tuple[int, str]] = [(0, table)]
        done: set[str] = set()
        while queue:
            _, here = heapq.heappop(queue)
            if here in done:
                continue
            done.add(here)
            now = reached[here]
            for join, length in self._lengths.items():
                if join.child != here or join.parent in done:
                    continue
                there, known = now.length + length, reached.get(join.parent)
                if known is None or there < known.length:
                    reached[join.parent] = Reach(there, (*now.path, join), now.ways)
                    heapq.heappush(queue, (there, join.parent))
                elif there == known.length:
                    reached[join.parent] = Reach(there, known.path, known.ways + now.ways)
        return reached

    def connected(self, table: str) -> dict[str, str]:
        """All tables that joins in any direction connect with `table` -> the table before them on the way."""
        before, queue = {table: ""}, [table]
        for here in queue:
            for join in self._lengths:
                for one, other in ((join.child, join.parent), (join.parent, join.child)):
                    if one == here and other not in before:
                        before[other] = here
                        queue.append(other)
        return before
