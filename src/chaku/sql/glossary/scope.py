"""Finds the columns that the words of a question mean for one metric: the nearest ones that count no row twice."""

from collections.abc import Iterable
from copy import copy

from chaku.sql.glossary.expressions import Metric, allowed_values
from chaku.sql.glossary.file import Glossary
from chaku.sql.glossary.joins import Joins, Reach, find_table, primary_key
from chaku.sql.glossary.lexicon import ColumnMeaning, Lexicon
from chaku.sql.glossary.query import ByColumn, ByTime, Compared, During, Filter, Group, IsIn, NoAnswer
from chaku.sql.glossary.reading import Part
from chaku.sql.glossary.storage import date_form, is_number
from chaku.sql.schema.definition import Column, Schema


class Ambiguous(Exception):
    """The words may mean two columns (`places`), or none that fits (no places)."""

    def __init__(self, places: Iterable[tuple[str, str]] = ()):
        super().__init__()
        self.places = tuple(places)


class Contradiction(Ambiguous):
    """A value that the metric's own condition on the column may exclude."""


class Scope:
    """The columns around the metrics of one schema."""

    def __init__(self, glossary: Glossary, schema: Schema, lexicon: Lexicon):
        self.schema, self.lexicon = schema, lexicon
        self.joins = Joins(schema, glossary)
        self._reached: dict[str, dict[str, Reach]] = {}
        self._preferred: frozenset[tuple[str, str]] = frozenset()

    def preferring(self, places: Iterable[tuple[str, str]]) -> "Scope":
        """The scope in which these columns, as (table, column), are meant where several are equally near."""
        preferring = copy(self)
        preferring._preferred = frozenset(places)
        return preferring

    def reached(self, metric: Metric) -> dict[str, Reach]:
        """The tables that have at most one row for each row of the metric's table."""
        table = metric.table.name
        if table not in self._reached:
            self._reached[table] = self.joins.from_table(table)
        return self._reached[table]

    def group(self, metric: Metric, part: Part) -> Group | NoAnswer:
        """What a part groups by. Raises Ambiguous."""
        if part.kind == "g":
            return self._time(metric, part.unit)
        assert part.meanings
        candidates = [meaning for meaning in part.meanings.columns if meaning.column]
        if part.unit:  # a column that is called like a unit of time
            own = {(meaning.table, meaning.column) for meaning in candidates if meaning.table in self.reached(metric)}
            if not own or own == {(metric.date_table, metric.date)}:
                return self._time(metric, part.unit)
            raise Ambiguous
        found = self._nearest(metric, candidates)
        if isinstance(found, NoAnswer):
            return found
        return ByColumn(found.table, found.column, rows=self._names_rows(found))

    def _names_rows(self, meaning: ColumnMeaning) -> bool:
        table = find_table(self.schema, meaning.table)
        return self.lexicon.labels[meaning.table] == meaning.column and table is not None and bool(primary_key(table))

    def _time(self, metric: Metric, unit: str) -> ByTime:
        form = self.date_form(metric)
        if not form or (form != "date" and unit != "year"):
            raise Ambiguous
        return ByTime(unit)  # type: ignore[arg-type]

    def date_form(self, metric: Metric) -> str:
        """How the metric's date is stored; "" if it has none that rules can use."""
        if not metric.date or metric.date_table not in self.reached(metric):
            return ""
        return date_form(self.column(metric.date_table, metric.date), self.schema.dialect)

    def column(self, table: str, name: str) -> Column:
        """A column of the schema."""
        found = find_table(self.schema, table)
        assert found
        return next(column for column in found.columns if column.name == name)

    def filter(
        self, metric: Metric, items: tuple[Part, ...], near: tuple[Part, ...], comparison: str, number: str
    ) -> Filter | NoAnswer:
        """The filter that parts of a question mean. Raises Ambiguous."""
        if comparison:
            return self._compared(metric, near, comparison, number)
        if items[0].kind == "p":
            form = self.date_form(metric)
            periods = tuple(item.period for item in items if item.period)
            if not form or (
                form != "date" and any(period.unit != "year" and not _whole_years(period) for period in periods)
            ):
                raise Ambiguous
            return During(periods)
        return self._values(metric, items, near)

    def _compared(self, metric: Metric, near: tuple[Part, ...], comparison: str, number: str) -> Filter | NoAnswer:
        *tables, last = near
        assert last.meanings
        columns = [meaning for meaning in last.meanings.columns if meaning.column and not meaning.is_table]
        for part in tables:
            columns = [meaning for meaning in columns if meaning.table in _tables(part)]
        found = self._nearest(metric, columns)
        if isinstance(found, NoAnswer):
            return found
        if not is_number(self.column(found.table, found.column)) or self._has_filter(metric, found.table, found.column):
            raise Ambiguous
        if comparison == "=":
            return IsIn(found.table, found.column, (number,))
        return Compared(found.table, found.column, comparison, number)  # type: ignore[arg-type]

    def _values(self, metric: Metric, items: tuple[Part, ...], near: tuple[Part, ...]) -> Filter | NoAnswer:
        """The column that has all values of a list, beside the columns and tables that the question names."""
        places: list[tuple[str, str]] = []
        for number, item in enumerate(items):
            assert item.meanings
            found = list(dict.fromkeys((value.table, value.column) for value in item.meanings.values))
            places = found if number == 0 else [place for place in places if place in found]
        for part in near:
            assert part.meanings
            exact = {(meaning.table, meaning.column) for meaning in part.meanings.columns if not meaning.is_table}
            tables = {meaning.table for meaning in part.meanings.columns if meaning.is_table}
            strict = [place for place in places if place in exact or place[0] in tables]
            # "products in the category Toys" also names the table that leads to the category.
            places = strict or [place for place in places if tables & self._on_the_way(metric, place[0])]
            named = [place for place in places if place[0] in tables and self.lexicon.labels[place[0]] == place[1]]
            places = named or places  # "the country Peru" means its name, and not its name in its own language
        chosen = self._nearest(metric, [ColumnMeaning(*place) for place in places])
        if isinstance(chosen, NoAnswer):
            if not near:  # "payroll in Rome" may be about employees, of whom none is in Rome
                raise Ambiguous
            return chosen
        values = [
            value.value
            for item in items
            for value in (item.meanings.values if item.meanings else ())
            if (value.table, value.column) == (chosen.table, chosen.column)
        ]
        if self.contradicts(metric, chosen.table, chosen.column, values):
            raise Contradiction
        return IsIn(chosen.table, chosen.column, tuple(dict.fromkeys(values)))

    def _on_the_way(self, metric: Metric, table: str) -> set[str]:
        """The tables that the joins from the metric's table to another table read."""
        path = self.reached(metric)[table].path if table in self.reached(metric) else ()
        return {name for join in path for name in (join.child, join.parent)}

    def _has_filter(self, metric: Metric, table: str, column: str) -> bool:
        """Whether the metric itself has a condition on the column."""
        return table == metric.table.name and column in metric.filtered

    def contradicts(self, metric: Metric, table: str, column: str, values: Iterable[str]) -> bool:
        """Whether the metric's own condition on the column may exclude a value.

        "Revenue of cancelled orders" contradicts "paid and sent orders"; "revenue of paid orders" does not.
        """
        if not self._has_filter(metric, table, column):
            return False
        allowed = allowed_values(metric.filters, column)
        return allowed is None or not {*values} <= allowed

    def _nearest(self, metric: Metric, candidates: list[ColumnMeaning]) -> ColumnMeaning | NoAnswer:
        reached = self.reached(metric)
        near = [meaning for meaning in candidates if meaning.table in reached]
        if not near:
            return self._twice(metric, candidates)
        least = min(reached[meaning.table].length for meaning in near)
        found = {(meaning.table, meaning.column): meaning for meaning in near if reached[meaning.table].length == least}
        if preferred := self._preferred & {(meaning.table, meaning.column) for meaning in near}:
            found = {(meaning.table, meaning.column): meaning for meaning in near}
            found = {place: found[place] for place in preferred}
        if len(found) != 1:
            raise Ambiguous(found)
        [meaning] = found.values()
        if reached[meaning.table].ways != 1:
            raise Ambiguous
        return meaning

    def _twice(self, metric: Metric, candidates: list[ColumnMeaning]) -> NoAnswer:
        """Why a column that only other joins reach cannot be used. Raises Ambiguous if it is not one column."""
        before = self.joins.connected(metric.table.name)
        found = {(meaning.table, meaning.column) for meaning in candidates if meaning.table in before}
        if len(found) != 1:
            raise Ambiguous
        [(table, column)] = found
        many = table
        while before[many] not in self.reached(metric):
            many = before[many]
        name = metric.table.name
        return NoAnswer(
            f"{metric.name} counts each row of {name} once, and a row of {name} may have several rows of {many}: with "
            f"{table}.{column}, rows would count twice. A metric of the table {many} can be asked so"
        )

    def groups_filter(self, metric: Metric, part: Part, made: Filter) -> bool:
        """Whether a group is about the column of a filter, so that "Peru and France" are two of its rows."""
        group = self.group(metric, part)
        if isinstance(made, During):
            return isinstance(group, ByTime)
        return isinstance(group, ByColumn) and (group.table, group.column) == (made.table, made.column)

    def group_of(self, metric: Metric, items: tuple[Part, ...], made: Filter) -> Group:
        """The group that compares the values or periods of a filter. Raises Ambiguous for periods of several units."""
        if isinstance(made, During):
            units = {period.unit for period in made.periods}
            if len(units) != 1 or "" in units:
                raise Ambiguous
            return self._time(metric, units.pop())
        meaning = ColumnMeaning(made.table, made.column)
        return ByColumn(made.table, made.column, rows=self._names_rows(meaning))

    def filtered_by(self, made: Filter) -> tuple[str, str]:
        """What a filter is about."""
        return ("", "date") if isinstance(made, During) else (made.table, made.column)


def _tables(part: Part) -> set[str]:
    return {meaning.table for meaning in part.meanings.columns} if part.meanings else set()


def _whole_years(period: object) -> bool:
    start, end = getattr(period, "start", None), getattr(period, "end", None)
    return all(day is None or (day.month, day.day) == (1, 1) for day in (start, end))
