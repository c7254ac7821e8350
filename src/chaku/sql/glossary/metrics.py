"""Writes the SQL of a metric's query, for each dialect, with joins that count no row twice."""

import re
from typing import Any

from sqlglot import exp, parse_one

from chaku.sql.engines.known import ENGINES
from chaku.sql.glossary.dates import Period
from chaku.sql.glossary.expressions import Metric, column_node, identifier
from chaku.sql.glossary.file import Glossary
from chaku.sql.glossary.joins import Join, find_table, primary_key
from chaku.sql.glossary.lexicon import Lexicon
from chaku.sql.glossary.query import ByTime, Compared, During, Filter, Group, IsIn, MetricQuery
from chaku.sql.glossary.scope import Scope
from chaku.sql.glossary.storage import is_number
from chaku.sql.schema.definition import Dialect, Schema, Table

FORMATS = {"year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d"}
COMPARISONS: dict[str, Any] = {">": exp.GT, "<": exp.LT, ">=": exp.GTE, "<=": exp.LTE}


class MetricWriter:
    """Writes queries of one schema's metrics."""

    def __init__(self, glossary: Glossary, schema: Schema, lexicon: Lexicon, scope: Scope):
        self.glossary, self.schema, self.lexicon, self.scope = glossary, schema, lexicon, scope
        self.dialect: Dialect = schema.dialect

    def write(self, query: MetricQuery) -> str:
        """The SQL of a query. The groups come first in a row, then the metric; rows come in the order of the groups."""
        metric = self.lexicon.metrics[query.metric]
        groups = [self._group(metric, group) for group in query.groups]
        number, alias = metric.expression.copy(), _alias(query.metric)
        shown = [column for column, _ in groups]
        select = exp.select(*shown, exp.alias_(number.copy(), identifier(alias, self.dialect)))
        select = self._join(select.from_(self._table(metric.table)), metric, query)
        for condition in [
            *(tree.copy() for tree in metric.filters),
            *(self._filter(metric, one) for one in query.filters),
        ]:
            select = select.where(condition)
        keys = [key for _, added in groups for key in added]
        if keys:
            select = select.group_by(*keys)
        if query.having:
            comparison, text = query.having
            select = select.having(COMPARISONS[comparison](this=number.copy(), expression=exp.Literal.number(text)))
        if query.limit:
            taken = {column.alias_or_name.lower() for column in shown}
            by = number.copy() if alias.lower() in taken else exp.column(identifier(alias, self.dialect))
            select = select.order_by(exp.Ordered(this=by, desc=query.order == "desc", nulls_first=False))
        for column in shown:
            by = exp.column(identifier(column.alias, self.dialect)) if column.alias else column.copy()
            select = select.order_by(by)
        if query.limit:
            select = select.limit(query.limit)
        return str(select.sql(dialect=self.dialect))

    def _table(self, table: Table) -> exp.Table:
        namespace = identifier(table.namespace, self.dialect) if table.namespace else None
        return exp.Table(this=identifier(table.bare_name, self.dialect), db=namespace)

    def _column(self, table: str, column: str) -> exp.Column:
        found = find_table(self.schema, table)
        assert found
        return column_node(found, column, self.dialect)

    def tables(self, query: MetricQuery) -> tuple[str, ...]:
        """The tables that a query reads, the metric's table first."""
        metric = self.lexicon.metrics[query.metric]
        return (metric.table.name, *dict.fromkeys(join.parent for join in self._joins(metric, query)))

    def _joins(self, metric: Metric, query: MetricQuery) -> list[Join]:
        used = [
            metric.date_table if isinstance(part, ByTime | During) else part.table
            for part in (*query.groups, *query.filters)
        ]
        return list(dict.fromkeys(join for table in used for join in self.scope.reached(metric)[table].path))

    def _join(self, select: exp.Select, metric: Metric, query: MetricQuery) -> exp.Select:
        """The tables of groups and filters. A row without a parent stays: its group is NULL."""
        for join in self._joins(metric, query):
            parent = find_table(self.schema, join.parent)
            assert parent
            equal = [
                exp.EQ(this=self._column(join.child, one), expression=self._column(join.parent, other))
                for one, other in join.pairs
            ]
            conditions = [*equal, *(tree.copy() for tree in self.lexicon.filters.get(parent.name, ()))]
            select = select.join(self._table(parent), on=exp.and_(*conditions), join_type="left")
        return select

    def _group(self, metric: Metric, group: Group) -> tuple[exp.Expr, list[exp.Expr]]:
        """(the shown column, the expressions of GROUP BY)."""
        if isinstance(group, ByTime):
            made = self._time(metric, group)
            shown = made if isinstance(made, exp.Column) else exp.alias_(made, identifier(group.unit, self.dialect))
            return shown, [made.copy()]
        column = self._column(group.table, group.column)
        keys: dict[str, exp.Expr] = {}
        if group.rows:  # two customers may have one name
            table = find_table(self.schema, group.table)
            assert table
            for name in primary_key(table):
                keys[name] = self._column(group.table, name)
        keys[group.column] = column.copy()
        return column, [*keys.values()]

    def _time(self, metric: Metric, group: ByTime) -> exp.Expr:
        column = self._column(metric.date_table, metric.date)
        if self.scope.date_form(metric) != "date":
            return column
        if group.unit == "quarter":
            return self._quarter(column)
        return self._formatted(column, FORMATS[group.unit])

    def _formatted(self, column: exp.Expr, form: str) -> exp.Expr:
        return exp.TimeToStr(this=column.copy(), format=exp.Literal.string(form))

    def _quarter(self, column: exp.Expr) -> exp.Expr:
        """A text such as 2024-Q2; a CASE, since the engines divide whole numbers in different ways."""
        month = self._formatted(column, "%m")
        quarter = exp.Case()
        for last, number in (("03", "Q1"), ("06", "Q2"), ("09", "Q3")):
            quarter = quarter.when(
                exp.LTE(this=month.copy(), expression=exp.Literal.string(last)), exp.Literal.string(number)
            )
        quarter = quarter.else_(exp.Literal.string("Q4"))
        year = self._formatted(column, "%Y-")
        if not ENGINES[self.dialect].pipes_join:
            return exp.Concat(expressions=[year, quarter], safe=True)
        return exp.DPipe(this=year, expression=quarter)

    def _filter(self, metric: Metric, one: Filter) -> exp.Expr:
        if isinstance(one, During):
            column = self._column(metric.date_table, metric.date)
            form = self.scope.date_form(metric)
            return exp.or_(*[during(column, period, form, self.dialect) for period in one.periods])
        column = self._column(one.table, one.column)
        if isinstance(one, Compared):
            return COMPARISONS[one.comparison](this=column, expression=exp.Literal.number(one.number))
        values = [self._literal(one, value) for value in one.values]
        if len(values) == 1:
            return exp.EQ(this=column, expression=values[0])
        return exp.In(this=column, expressions=values)

    def _literal(self, one: IsIn, value: str) -> exp.Expr:
        number = is_number(self.scope.column(one.table, one.column)) and re.fullmatch(r"\d+(\.\d+)?", value)
        return exp.Literal.number(value) if number else exp.Literal.string(value)


def _alias(name: str) -> str:
    """The name of a metric as the name of a result."""
    return re.sub(r"\W+", "_", name).strip("_") or "metric"


def during(column: exp.Column, period: Period, form: str, dialect: Dialect) -> exp.Expr:
    """A condition on a date, or on a year."""
    conditions: list[exp.Expr] = []
    for day, kind in ((period.start, exp.GTE), (period.end, exp.LT)):
        if day is not None:
            text = day.isoformat() if form == "date" else str(day.year)
            bound = exp.Literal.number(text) if form == "year" else exp.Literal.string(text)
            if form == "date" and ENGINES[dialect].strict_dates:
                bound = parse_one(f"DATE '{text}'", dialect=dialect)
            conditions.append(kind(this=column.copy(), expression=bound))
    return exp.and_(*conditions)


def in_words(query: MetricQuery, metric: Metric) -> str:
    """What a query computes, for its reader."""
    said = [str(metric)]
    for one in query.filters:
        if isinstance(one, During):
            said.append(f"{metric.date} {' or '.join(map(str, one.periods))}")
        elif isinstance(one, Compared):
            said.append(f"{one.table}.{one.column} {one.comparison} {one.number}")
        else:
            said.append(f"{one.table}.{one.column} = {' or '.join(map(repr, one.values))}")
    groups = [group.unit if isinstance(group, ByTime) else f"{group.table}.{group.column}" for group in query.groups]
    if groups:
        said.append(f"by {' and '.join(groups)}")
    if query.having:
        said.append(f"where {metric.name} {' '.join(query.having)}")
    if query.limit:
        said.append(f"the {query.limit} {'largest' if query.order == 'desc' else 'lowest'}")
    return "; ".join(said)
