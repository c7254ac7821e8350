"""Reads the conditions of a query that a follow-up may change; see `conditions`."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from sqlglot import exp

from chaku.sql.conversation.conditions import LENGTHS, Condition, Conditions, Form, Place, Slot
from chaku.sql.glossary.dates import Period, whole
from chaku.sql.glossary.storage import date_form
from chaku.sql.schema.definition import Column, Schema, Table
from chaku.sql.schema.definition import literal as sql_literal

_DAY = re.compile(r"((?:19|20)\d\d-\d\d-\d\d)([ T].*)?")
_UNITS: tuple[tuple[Form, str], ...] = (
    ("year", r"(?:19|20)\d\d"),
    ("month", r"(?:19|20)\d\d-\d\d"),
    ("day", r"(?:19|20)\d\d-\d\d-\d\d"),
)
_FORMATS: dict[str, Form] = {"%Y": "year", "%Y-%m": "month", "%Y-%m-%d": "day"}
_SUBSTRINGS: dict[tuple[str, str], Form] = {("1", "4"): "year", ("1", "7"): "month", ("1", "10"): "day"}
_WRAPPERS = (exp.Cast, exp.Date, exp.TsOrDsToDate, exp.TsOrDsToTimestamp, exp.Collate, exp.Trim)


def read_conditions(tree: exp.Expr, schema: Schema, is_value: Callable[[Place, str], bool]) -> Conditions:
    """The conditions of a query. `is_value`: whether a column has a value, so that LIKE '%Peru%' names it."""
    return _Reader(tree, schema, is_value).read()


class _Reader:
    def __init__(self, tree: exp.Expr, schema: Schema, is_value: Callable[[Place, str], bool]):
        self.tree, self.dialect, self.is_value = tree, schema.dialect, is_value
        self.tables = {table.name.lower(): table for table in schema.tables}
        self.known: dict[tuple[Place, str], Condition] = {}
        self.unknown: set[Place] = set()

    def read(self) -> Conditions:
        bounds: dict[tuple[int, str], list[exp.Expr]] = defaultdict(list)
        for node in self.tree.walk():
            if isinstance(node, exp.GT | exp.GTE | exp.LT | exp.LTE):
                bounds[_branch(node), node.this.sql()].append(node)
            elif isinstance(node, exp.EQ | exp.Like | exp.ILike):
                self._one(node, node.this, node.expression)
            elif isinstance(node, exp.In):
                for value in node.expressions:
                    self._one(node, node.this, value)
            elif isinstance(node, exp.Between):
                self._range(node, node.this, node.args["low"], node.args["high"], "last day")
            elif isinstance(node, exp.NEQ | exp.NullSafeEQ | exp.NullSafeNEQ | exp.Glob | exp.RegexpLike):
                self._refuse(node.this)
        for nodes in bounds.values():
            self._bounds(nodes)
        return Conditions(tuple(self.known.values()), frozenset(self.unknown))

    def _one(self, node: exp.Expr, left: exp.Expr, right: exp.Expr) -> None:
        if isinstance(left, exp.Literal) and not isinstance(right, exp.Literal):
            left, right = right, left
        literal, found = _literal_of(right), self._column_of(left)
        if literal is None or found is None or _is_negated(node):
            if not isinstance(right, exp.Column):  # of a join
                self._refuse(left)
            return
        place, column = found
        pattern = isinstance(node, exp.Like | exp.ILike)
        slot = _period_slot(left, literal, column, pattern, self.dialect) or self._value_slot(
            left, literal, place, pattern
        )
        if slot is None:
            self._refuse(left)
            return
        core = literal.name[len(slot.before) : len(literal.name) - len(slot.after) or None]
        unit = (
            slot.form if slot.form in LENGTHS else next((unit for unit, form in _UNITS if re.fullmatch(form, core)), "")
        )
        is_period = slot.form in LENGTHS or slot.form == "any unit"
        self._add(place, slot, core, _point(core, unit) if is_period else None)

    def _value_slot(self, left: exp.Expr, literal: exp.Literal, place: Place, pattern: bool) -> Slot | None:
        if not literal.is_string or not isinstance(left, exp.Column | exp.Lower | exp.Upper | exp.Trim | exp.Collate):
            return None
        folding = left.find(exp.Lower, exp.Upper)
        form: Form = "value" if folding is None else "lower" if isinstance(folding, exp.Lower) else "upper"
        if not pattern:
            return Slot(literal, form)
        around = re.fullmatch(r"(%?)([^%_]+)(%?)", literal.name)
        if around is None or not self.is_value(place, around[2]):
            return None
        return Slot(literal, form, around[1], around[3])

    def _bounds(self, nodes: list[exp.Expr]) -> None:
        lows = [node for node in nodes if isinstance(node, exp.GTE)]
        highs = [node for node in nodes if isinstance(node, exp.LT | exp.LTE)]
        if len(lows) + len(highs) < len(nodes) or len(lows) > 1 or len(highs) > 1:
            self._refuse(nodes[0].this)
            return
        low, high = (side[0].expression if side else None for side in (lows, highs))
        self._range(
            nodes[0], nodes[0].this, low, high, "next day" if highs and isinstance(highs[0], exp.LT) else "last day"
        )

    def _range(self, node: exp.Expr, left: exp.Expr, low: Any, high: Any, form: Form) -> None:
        if (found := self._column_of(left)) is None:
            return
        ends = [_literal_of(side) if side is not None else None for side in (low, high)]
        days = [_DAY.fullmatch(end.name) if end is not None else None for end in ends]
        wanted = [side is not None for side in (low, high)]
        if [day is not None for day in days] != wanted or _is_negated(node) or not _is_day(left):
            self._refuse(left)
            return
        forms: tuple[Form, Form] = ("first day", form)
        slots = [
            Slot(end, kind, after=day[2] or "")
            for end, day, kind in zip(ends, days, forms, strict=True)
            if end is not None and day is not None
        ]
        try:
            start, end = (date.fromisoformat(day[1]) if day else None for day in days)
            period = _range_of(start, end and end + timedelta(days=form == "last day"))
        except ValueError:
            self._refuse(left)
            return
        for slot in slots:
            self._add(found[0], slot, str(period), period)

    def _add(self, place: Place, slot: Slot, text: str, period: Period | None) -> None:
        said = str(text) if period else sql_literal(text)
        before = self.known.get((place, said))
        self.known[place, said] = (
            replace(before, slots=(*before.slots, slot)) if before else Condition(place, said, (slot,), period)
        )

    def _refuse(self, left: exp.Expr) -> None:
        if found := self._column_of(left):
            self.unknown.add(found[0])

    def _column_of(self, left: exp.Expr) -> tuple[Place, Column] | None:
        """The only column of an expression, in the schema."""
        columns = list(left.find_all(exp.Column))
        if len(columns) != 1:
            return None
        node = columns[0]
        found = [
            ((table.name, column.name), column)
            for table in self._tables_of(node)
            for column in table.columns
            if column.name.lower() == node.name.lower()
        ]
        return found[0] if len(found) == 1 else None

    def _tables_of(self, node: exp.Column) -> list[Table]:
        """The tables that a column may belong to: by its alias, or those that its SELECT, or else the query, reads."""
        select = node.find_ancestor(exp.Select)
        near = list(_sources(select)) if select is not None else []
        if node.table:
            near = [source for source in near if source.alias_or_name.lower() == node.table.lower()]
        near = near or list(self.tree.find_all(exp.Table))
        found = {name: table for source in near for name, table in self._table_of(source)}
        return list(found.values())

    def _table_of(self, source: exp.Table) -> Iterator[tuple[str, Table]]:
        for name in (f"{source.db}.{source.name}".lower(), source.name.lower()):
            if name in self.tables:
                yield name, self.tables[name]
                return


def _sources(select: exp.Select) -> Iterator[exp.Table]:
    for part in (select.args.get("from_") or select.args.get("from"), *(select.args.get("joins") or ())):
        if part is not None and isinstance(part.this, exp.Table):
            yield part.this


def _branch(node: exp.Expr) -> int:
    """The part of a condition whose comparisons hold together: the first parent that is no AND."""
    parent = node.parent
    while isinstance(parent, exp.And | exp.Paren):
        parent = parent.parent
    return id(parent)


def _is_negated(node: exp.Expr) -> bool:
    return isinstance(node.find_ancestor(exp.Not, exp.Query), exp.Not)


def _literal_of(node: exp.Expr) -> exp.Literal | None:
    """The only literal of an expression without columns, such as '2024-05-31' or DATE '2024-05-31'."""
    while isinstance(node, _WRAPPERS):
        node = node.this
    return node if isinstance(node, exp.Literal) else None


def _is_day(left: exp.Expr) -> bool:
    """Whether an expression is a column of dates, perhaps with a cast."""
    while isinstance(left, _WRAPPERS):
        left = left.this
    return isinstance(left, exp.Column)


def _period_slot(left: exp.Expr, literal: exp.Literal, column: Column, pattern: bool, dialect: Any) -> Slot | None:
    """How a literal says a period: as the year of a date, as the month in a text, as a whole day."""
    text = literal.name
    if pattern:
        around = re.fullmatch(r"((?:19|20)\d\d(?:-\d\d){0,2})(-?%)", text)
        if around is None or not isinstance(left, exp.Column):
            return None
        return Slot(literal, "any unit", after=around[2])
    unit = _unit_of(left)
    if unit is None and _is_day(left):
        unit = next((unit for unit, form in _UNITS if re.fullmatch(form, text)), None)
        is_year = date_form(column, dialect) in ("year", "year text") or "year" in column.name.lower()
        if unit == "year" and not is_year:
            return None
    if unit is None or not re.fullmatch(dict(_UNITS)[unit], text):
        return None
    return Slot(literal, unit)


def _unit_of(left: exp.Expr) -> Form | None:
    """The unit of time that an expression takes from a date; None for other expressions."""
    while isinstance(left, exp.Cast):
        left = left.this
    if isinstance(left, exp.TimeToStr):
        return _FORMATS.get(left.args["format"].name)
    if isinstance(left, exp.Year) or (isinstance(left, exp.Extract) and left.name.upper() == "YEAR"):
        return "year"
    if isinstance(left, exp.Substring):
        start, length = left.args.get("start"), left.args.get("length")
        return _SUBSTRINGS.get((start.name, length.name)) if start is not None and length is not None else None
    return None


def _point(text: str, unit: str) -> Period | None:
    try:
        return whole(unit, date.fromisoformat(f"{text}-01-01"[:10])) if unit else None
    except ValueError:
        return None


def _range_of(start: date | None, end: date | None) -> Period:
    """The period with these ends, and the unit of time that it is."""
    if start is not None:
        for unit in ("year", "quarter", "month", "day"):
            if (period := whole(unit, start)) and (period.start, period.end) == (start, end):
                return period
    return Period(start, end)
