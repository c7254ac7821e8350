"""Splits a query into the clauses that exact set match compares: Spider's form (Yu et al. 2018), read with sqlglot.

Spider's parser fails on aliases without AS, outer joins, CASE, functions, WITH and parentheses; this parser reads them.
An expression without a form in Spider is compared as text without its values.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from chaku.sql.execute.parse import Refused, parse

Names = dict[str, frozenset[str]]  # table -> its columns, all in lower case


class NotComparable(Exception):
    """The text is no query of this schema; the message is the reason."""


@dataclass(frozen=True)
class ColumnUse:
    """A column with an aggregate. `column`: "table.column", "*", or the text of an expression that is no column."""

    aggregate: str
    column: str
    distinct: bool = False


@dataclass(frozen=True)
class Unit:
    """A column, or two columns with an operator between them."""

    operator: str
    left: ColumnUse
    right: ColumnUse | None = None


@dataclass(frozen=True)
class Condition:
    """One condition. `values`: subqueries; None for constants and columns, except in subqueries of FROM."""

    negated: bool
    operator: str
    unit: Unit
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Conditions:
    parts: tuple[Condition, ...] = ()
    connectors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Clauses:
    select: tuple[tuple[str, Unit], ...]
    distinct: bool
    tables: tuple["str | Clauses", ...]
    join_kinds: tuple[str, ...]
    on: Conditions
    where: Conditions
    group: tuple[ColumnUse, ...]
    having: Conditions
    order: tuple[str, tuple[Unit, ...]] | None
    limit: bool
    set_operation: tuple[str, "Clauses"] | None


AGGREGATES = ("max", "min", "count", "sum", "avg")
_OPERATORS = {
    "EQ": "=", "NEQ": "!=", "GT": ">", "LT": "<", "GTE": ">=", "LTE": "<=", "Like": "like", "ILike": "like",
    "Is": "is", "Glob": "glob", "NullSafeEQ": "is", "NullSafeNEQ": "is",
}  # fmt: skip
_ARITHMETIC = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/"}


def read_clauses(sql: str, tables: Names) -> Clauses:
    """The clauses of one query. Raises NotComparable for a text that is no query of these tables."""
    try:
        return _Reader(tables).query(parse(sql), None, keep_values=False)
    except Refused as error:
        raise NotComparable(f"cannot be compared: {error}") from None
    except RecursionError:
        raise NotComparable("is nested too deeply") from None


@dataclass
class _Scope:
    """The names within one SELECT. `tables`: alias -> table, or None for a subquery."""

    parent: "_Scope | None"
    tables: dict[str, str | None] = field(default_factory=dict)
    ctes: dict[str, Clauses] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)  # alias -> expression of a result

    def outward(self) -> Iterator["_Scope"]:
        scope: _Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


class _Reader:
    def __init__(self, tables: Names):
        self.exp = exp
        self.schema = tables

    def query(self, tree: Any, parent: _Scope | None, *, keep_values: bool) -> Clauses:
        """A SELECT, or a chain of set operations, which Spider nests to the right: a UNION (b UNION c)."""
        scope = _Scope(parent)
        for cte in _expressions(tree.args.get("with_")):
            scope.ctes[cte.alias.lower()] = self.query(cte.this, scope, keep_values=True)  # as a subquery in FROM
        selects, operations, tail = self._chain(tree)
        result: Clauses | None = None
        for index in reversed(range(len(selects))):
            following = None if result is None else (operations[index], result)
            result = self._select(selects[index], scope, following, tail if following is None else {}, keep_values)
        assert result is not None
        return result

    def _chain(self, tree: Any) -> tuple[list[Any], list[str], dict[str, Any]]:
        """(queries, operations between them, ORDER BY and LIMIT), which Spider attaches to the last query."""
        exp = self.exp
        tail = {key: tree.args[key] for key in ("order", "limit") if tree.args.get(key)}
        if isinstance(tree, exp.SetOperation):
            (left, before, _), (right, after, inner) = self._chain(tree.left), self._chain(tree.right)
            name = type(tree).__name__.lower() + ("" if tree.args.get("distinct", True) else " all")
            return left + right, [*before, name, *after], {**inner, **tail}
        if isinstance(tree, exp.Subquery):
            selects, operations, inner = self._chain(tree.this)
            return selects, operations, {**inner, **tail}
        if not isinstance(tree, exp.Select):
            raise NotComparable(f"is {type(tree).__name__.upper()}, not a query")
        return [tree], [], tail

    def _select(
        self, tree: Any, outer: _Scope, following: tuple[str, Clauses] | None, tail: dict[str, Any], keep: bool
    ) -> Clauses:
        exp = self.exp
        scope = _Scope(outer)
        sources = [tree.args["from_"].this] if tree.args.get("from_") else []
        joins = tree.args.get("joins") or []
        tables = tuple(self._table(source, scope, keep) for source in [*sources, *(join.this for join in joins)])
        kinds = (
            join.side.lower() or join.method.lower() or ("cross" if join.kind == "CROSS" else "") for join in joins
        )
        ons = [self._conditions(join.args["on"], scope, keep) for join in joins if join.args.get("on")]
        if any(not part.operator and part.unit.left.column != "'...'" for condition in ons for part in condition.parts):
            raise NotComparable("has an ON that compares nothing")
        on = Conditions(
            tuple(part for condition in ons for part in condition.parts),
            tuple("and" for _ in ons[1:]) + tuple(word for condition in ons for word in condition.connectors),
        )
        items = []
        for item in tree.expressions:
            expression = item.this if isinstance(item, exp.Alias) else item
            items.append(self._item(expression, scope))
            if isinstance(item, exp.Alias):
                scope.results[item.alias.lower()] = expression
        order = tail.get("order") or tree.args.get("order")
        where, having, group = (tree.args.get(key) for key in ("where", "having", "group"))
        return Clauses(
            select=tuple(items),
            distinct=bool(tree.args.get("distinct")),
            tables=tables,
            join_kinds=tuple(kind for kind in kinds if kind),
            on=on,
            where=self._conditions(where.this, scope, keep) if where else Conditions(),
            group=tuple(self._column(expression, scope) for expression in _expressions(group)),
            having=self._conditions(having.this, scope, keep) if having else Conditions(),
            order=self._order(order, scope) if order else None,
            limit=bool(tail.get("limit") or tree.args.get("limit")),
            set_operation=following,
        )

    def _table(self, source: Any, scope: _Scope, keep: bool) -> "str | Clauses":
        exp = self.exp
        alias = source.alias.lower()
        if isinstance(source, exp.Subquery):
            scope.tables[alias] = None
            return self.query(source.this, scope.parent, keep_values=True)  # as in the official code
        if not isinstance(source, exp.Table):
            raise NotComparable(f"reads from {source.sql(dialect='sqlite')[:60]}, which is no table")
        name = source.name.lower()
        for outer in scope.outward():
            if name in outer.ctes:
                scope.tables[alias or name] = None
                return outer.ctes[name]
        if name not in self.schema:
            raise NotComparable(f"there is no table {source.name}")
        scope.tables[alias or name] = name
        return name

    def _order(self, order: Any, scope: _Scope) -> tuple[str, tuple[Unit, ...]]:
        """One direction for all columns: the last direction in the text, as in Spider."""
        directions = [
            expression.args["desc"] for expression in order.expressions if expression.args.get("desc") is not None
        ]
        direction = "desc" if directions and directions[-1] else "asc"
        return direction, tuple(self._unit(expression.this, scope) for expression in order.expressions)

    def _item(self, expression: Any, scope: _Scope) -> tuple[str, Unit]:
        """(aggregate, unit) of a result: Spider keeps the aggregate of a result outside its unit."""
        aggregate = _aggregate(expression)
        if not aggregate:
            return "", self._unit(expression, scope)
        inner, distinct = self._argument(expression)
        unit = self._unit(inner, scope)
        return aggregate, Unit(unit.operator, ColumnUse(unit.left.aggregate, unit.left.column, distinct), unit.right)

    def _argument(self, aggregate: Any) -> tuple[Any, bool]:
        inner = aggregate.this
        if isinstance(inner, self.exp.Distinct) and len(inner.expressions) == 1:
            return inner.expressions[0], True
        return inner, False

    def _unit(self, expression: Any, scope: _Scope) -> Unit:
        expression = self._bare(expression, scope)
        if operator := _ARITHMETIC.get(type(expression).__name__):
            return Unit(operator, self._column(expression.this, scope), self._column(expression.expression, scope))
        return Unit("", self._column(expression, scope))

    def _bare(self, expression: Any, scope: _Scope) -> Any:
        """The expression without parentheses; the alias of a result becomes its expression."""
        while isinstance(expression, self.exp.Paren):
            expression = expression.this
        if isinstance(expression, self.exp.Column) and not expression.table:
            return scope.results.get(expression.name.lower(), expression)
        return expression

    def _column(self, expression: Any, scope: _Scope) -> ColumnUse:
        expression = self._bare(expression, scope)
        if aggregate := _aggregate(expression):
            inner, distinct = self._argument(expression)
            return ColumnUse(aggregate, self._column(inner, scope).column, distinct)
        if isinstance(expression, self.exp.Distinct) and len(expression.expressions) == 1:
            return ColumnUse("", self._column(expression.expressions[0], scope).column, True)
        if isinstance(expression, self.exp.Star):
            return ColumnUse("", "*")
        if isinstance(expression, self.exp.Column):
            return ColumnUse("", self._resolve(expression, scope))
        return ColumnUse("", self._as_text(expression, scope))

    def _resolve(self, column: Any, scope: _Scope) -> str:
        """ "table.column" for the first table with this column in FROM, or in FROM of the surrounding queries."""
        name, alias = column.name.lower(), column.table.lower()
        in_subquery = False
        for outer in scope.outward():
            for key, table in outer.tables.items():
                if alias and alias not in (key, table):
                    continue
                if table is None:
                    in_subquery = True
                elif name in self.schema[table] or (alias and isinstance(column.this, self.exp.Star)):
                    return f"{table}.{name}"
        if in_subquery:
            return f".{name}"
        if column.this.args.get("quoted") and not alias:
            return "'...'"  # SQLite reads an unknown name in double quotes as a string
        raise NotComparable(f"no table in FROM has a column {column.sql(dialect='sqlite')}")

    def _as_text(self, expression: Any, scope: _Scope) -> str:
        exp = self.exp
        if isinstance(expression, exp.Literal | exp.Null | exp.Boolean):
            return "'...'"

        def masked(node: Any) -> Any:
            if isinstance(node, exp.Literal):
                return exp.Literal.string("...")
            if isinstance(node, exp.Column) and not isinstance(node.this, exp.Star):
                return exp.column(self._resolve(node, scope))
            return node

        return expression.copy().transform(masked).sql(dialect="sqlite").lower()

    def _conditions(self, tree: Any, scope: _Scope, keep: bool) -> Conditions:
        """Conditions in the order of the text, and the connectors between them; Spider's form has no parentheses."""
        exp = self.exp
        while isinstance(tree, exp.Paren):
            tree = tree.this
        if isinstance(tree, exp.And | exp.Or):
            left, right = self._conditions(tree.this, scope, keep), self._conditions(tree.expression, scope, keep)
            word = type(tree).__name__.lower()
            return Conditions(left.parts + right.parts, (*left.connectors, word, *right.connectors))
        return Conditions((self._condition(tree, scope, keep, negated=False),))

    def _condition(self, tree: Any, scope: _Scope, keep: bool, *, negated: bool) -> Condition:
        exp = self.exp
        while isinstance(tree, exp.Paren):
            tree = tree.this
        if isinstance(tree, exp.Not):
            return self._condition(tree.this, scope, keep, negated=not negated)
        negated ^= bool(tree.args.get("negate"))
        if isinstance(tree, exp.Between):
            values = (tree.args["low"], tree.args["high"])
            return self._compare(negated, "between", tree.this, values, scope, keep)
        if isinstance(tree, exp.In):
            query = tree.args.get("query")
            return self._compare(negated, "in", tree.this, (query or tuple(tree.expressions),), scope, keep)
        if operator := _OPERATORS.get(type(tree).__name__):
            return self._compare(negated, operator, tree.this, (tree.expression,), scope, keep)
        if isinstance(tree, exp.Exists):
            return Condition(negated, "exists", Unit("", ColumnUse("", "")), (self._value(tree.this, scope, keep),))
        return Condition(negated, "", self._unit(tree, scope), ())

    def _compare(
        self, negated: bool, operator: str, left: Any, values: tuple[Any, ...], scope: _Scope, keep: bool
    ) -> Condition:
        if isinstance(left, self.exp.Subquery | self.exp.Literal) and len(values) == 1:  # 5 < age
            turned = {">": "<", "<": ">", ">=": "<=", "<=": ">="}
            left, values, operator = values[0], (left,), turned.get(operator, operator)
        found = tuple(self._value(value, scope, keep) for value in values)
        return Condition(negated, operator, self._unit(left, scope), found)

    def _value(self, value: Any, scope: _Scope, keep: bool) -> Any:
        exp = self.exp
        while isinstance(value, exp.Paren):
            value = value.this
        if isinstance(value, exp.Query):
            return self.query(value, scope, keep_values=keep)
        if not keep:
            return None
        if isinstance(value, exp.Literal):
            return value.this if value.is_string else float(value.this)
        if isinstance(value, tuple):
            return tuple(self._value(item, scope, keep) for item in value)
        if isinstance(value, exp.Column) and value.this.args.get("quoted") and not value.table:
            return value.name  # a string in double quotes
        return self._unit(value, scope)


def _expressions(node: Any) -> list[Any]:
    return list(node.expressions) if node is not None else []


def _aggregate(expression: Any) -> str:
    name = type(expression).__name__.lower()
    return name if name in AGGREGATES and not expression.expressions else ""
