"""Checks a query against a schema before it runs: every table, column and alias, scope by scope, with nearest names."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from chaku.sql.normalize import quote_literals
from chaku.sql.read_only import SQLGLOT_ERRORS, Refused, import_sqlglot, parse_one, write_sql
from chaku.sql.schema import Schema, quote_name
from chaku.sql.values import normalize, stem

if TYPE_CHECKING:
    from sqlglot import exp

NEAR = 0.6  # of 1.0: the least likeness of names that a message offers
SAME = 0.8  # from here on, a single nearest name is taken for the one that was meant
OFFERED = 3  # names in a message
FIXES = 3  # rounds of putting names right


@dataclass(frozen=True)
class Problem:
    """What is wrong with a query; `name` as written, `nearest` the names that may be meant, the likeliest first."""

    message: str
    name: str = ""
    nearest: tuple[str, ...] = ()


def check(sql: str, schema: Schema) -> list[Problem]:
    """What keeps a query from running on a schema; empty when its names and scopes are right."""
    try:
        tree = parse(sql, schema)
    except Refused as error:
        return [Problem(str(error))]
    return [problem for problem, _ in _problems(tree, schema)]


def fix(sql: str, schema: Schema) -> tuple[str, list[str]]:
    """The query with misspelt names put right where one existing name is plainly meant, and what was put right.

    Names that have no such neighbour stay, for `check` to report.
    """
    changes: dict[str, None] = {}
    for _ in range(FIXES):  # a name that was read as another may have been a result's name elsewhere in the query
        try:
            tree = parse(sql, schema)
        except Refused:
            break
        meant = [(problem, identifier, _plainly_meant(problem)) for problem, identifier in _problems(tree, schema)]
        known = [(problem, identifier, name) for problem, identifier, name in meant if identifier is not None and name]
        if not known:
            break
        for problem, identifier, name in known:
            identifier.set("this", name)
            identifier.set("quoted", quote_name(name, schema.dialect) != name)
            changes[f"{problem.name} was read as {name}"] = None
        try:
            sql = write_sql(tree, schema.dialect)
        except Refused:
            break
    return sql, list(changes)


def _plainly_meant(problem: Problem) -> str:
    """The one name that is as good as the same, or nothing."""
    near = [name for name in problem.nearest if likeness(problem.name, name) >= SAME]
    return near[0] if len(near) == 1 else ""


def parse(sql: str, schema: Schema) -> "exp.Expr":
    """The tree of one query, in which SQLite's double-quoted strings are strings. Raises Refused."""
    import_sqlglot()
    from sqlglot import exp

    tree = parse_one(sql, schema.dialect)
    if schema.dialect == "sqlite" and '"' in sql:
        tree = parse_one(quote_literals(sql, schema), schema.dialect)
    if not isinstance(tree, exp.Select | exp.SetOperation | exp.Subquery):
        raise Refused("not a query: only one SELECT runs")
    return tree


def likeness(one: str, other: str) -> float:
    """Of two names, without case, signs and plurals: 1.0 where they are the same."""
    one, other = (" ".join(map(stem, normalize(name).split())) for name in (one, other))
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def nearest(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """Existing names that are near one that does not exist, the nearest first."""
    scored = sorted(((likeness(name, each), each) for each in set(names)), key=lambda pair: (-pair[0], pair[1]))
    return tuple(each for score, each in scored[:OFFERED] if score >= NEAR)


def _problems(tree: "exp.Expr", schema: Schema) -> "Iterator[tuple[Problem, exp.Identifier | None]]":
    from sqlglot.optimizer.scope import traverse_scope

    checker = _Checker(schema)
    try:  # sqlglot looks at a scope's sources only when they are asked for: a table that is named twice is refused then
        found = [pair for scope in traverse_scope(tree) for pair in checker.check(scope)]
    except SQLGLOT_ERRORS as error:
        yield Problem(f"its scopes do not fit: {error}"), None
        return
    yield from found


class _Checker:
    """Looks names up, scope by scope. Columns of a source are None where they cannot be known."""

    def __init__(self, schema: Schema):
        self.tables = {table.name.casefold(): {each.name for each in table.columns} for table in schema.tables}
        self.names = [table.name for table in schema.tables]

    def check(self, scope: Any) -> "Iterator[tuple[Problem, exp.Identifier | None]]":
        from sqlglot import exp

        for node, source in scope.selected_sources.values():
            if isinstance(source, exp.Table) and source.name and source.name.casefold() not in self.tables:
                near = nearest(source.name, self.names)
                message = f"there is no table {source.name}{_offer(near, self.names)}"
                yield Problem(message, source.name, near), node.this
        here, outer = self.sources(scope), self.outer(scope)
        # A result may be named in ORDER BY, but one that is a bare column has to be a column first.
        bare = (exp.Column,) if isinstance(scope.expression, exp.Select) else ()
        results = (each for each in scope.expression.selects if not (isinstance(each, bare) and not each.table))
        outputs = {each.alias_or_name.casefold() for each in results}
        for column in scope.columns:
            if isinstance(column.this, exp.Star) or column.find_ancestor(exp.Query) is not scope.expression:
                continue
            if column.table:
                yield from self.qualified(column, {**outer, **here})
            elif column.name.casefold() not in outputs or not _may_name_results(column):
                yield from self.bare(column, here, outer)

    def qualified(
        self, column: "exp.Column", reach: dict[str, set[str] | None]
    ) -> "Iterator[tuple[Problem, exp.Identifier | None]]":
        table, name = column.table, column.name
        if table.casefold() not in reach:
            yield Problem(f"{table} in {table}.{name} is no table of this query{_offer((), sorted(reach))}"), None
            return
        columns = reach[table.casefold()]
        if columns is not None and not _has(columns, name):
            near = nearest(name, columns)
            yield Problem(f"{table} has no column {name}{_offer(near, sorted(columns))}", name, near), column.this

    def bare(
        self, column: "exp.Column", here: dict[str, set[str] | None], outer: dict[str, set[str] | None]
    ) -> "Iterator[tuple[Problem, exp.Identifier | None]]":
        name = column.name
        owners = [alias for alias, columns in here.items() if columns is not None and _has(columns, name)]
        if len(owners) > 1 and not _is_merged(column):
            yield Problem(f"{name} is ambiguous: {' or '.join(f'{each}.{name}' for each in owners)}", name), None
        reach = [*here.values(), *outer.values()]
        if owners or any(columns is None or _has(columns, name) for columns in reach):
            return
        known = {each for columns in reach if columns for each in columns}
        near = nearest(name, known)
        elsewhere = [table for table in self.names if _has(self.tables[table.casefold()], name)]
        if elsewhere and not (near and likeness(name, near[0]) >= SAME):
            said = f"{name} is a column of {', '.join(elsewhere[:OFFERED])}, which this query does not read"
            yield Problem(said, name), None
        else:
            said = f"no table of this query has a column {name}{_offer(near, sorted(known))}"
            yield Problem(said, name, near), column.this

    def sources(self, scope: Any) -> dict[str, set[str] | None]:
        """A scope's own tables and subqueries by alias, with their columns."""
        return {alias.casefold(): self.columns(source) for alias, (_, source) in scope.selected_sources.items()}

    def outer(self, scope: Any) -> dict[str, set[str] | None]:
        """What a subquery can reach of the queries around it."""
        found: dict[str, set[str] | None] = {}
        while scope is not None and not (scope.is_derived_table or scope.is_cte):
            scope = scope.parent
            if scope is not None:
                found = {**self.sources(scope), **found}
        return found

    def columns(self, source: Any) -> set[str] | None:
        from sqlglot import exp

        if isinstance(source, exp.Table):
            near = nearest(source.name, self.names) or (source.name,)
            name = source.name.casefold()
            return self.tables.get(name) if name in self.tables else self.tables.get(near[0].casefold())
        expression = getattr(source, "expression", None)
        if not isinstance(expression, exp.Query):  # a function that returns rows
            return None
        if any(isinstance(each, exp.Star) or each.find(exp.Star) for each in expression.selects if each.name == "*"):
            inner = list(self.sources(source).values())
            if any(columns is None for columns in inner) or isinstance(expression, exp.SetOperation):
                return None
            return {name for columns in inner if columns for name in columns} | set(expression.named_selects) - {"*"}
        while isinstance(expression.parent, exp.SetOperation):
            expression = expression.parent
        holder = expression.parent  # WITH t (a, b) AS ..., or (...) AS t (a, b)
        named = holder.alias_column_names if isinstance(holder, exp.CTE | exp.Subquery) else []
        return set(named or expression.named_selects)


def _has(columns: set[str], name: str) -> bool:
    return name.casefold() in {each.casefold() for each in columns} or name.casefold() in ("rowid", "oid", "ctid")


def _may_name_results(column: "exp.Column") -> bool:
    """Whether a column stands where a query's own results may be named."""
    from sqlglot import exp

    place = column.find_ancestor(exp.Order, exp.Group, exp.Having, exp.Query)
    return not isinstance(place, exp.Query) or isinstance(place, exp.SetOperation)


def _is_merged(column: "exp.Column") -> bool:
    """Whether a join makes one column of several: USING, NATURAL."""
    from sqlglot import exp

    query = column.find_ancestor(exp.Query)
    joins = query.args.get("joins") or [] if query is not None else []
    used = {name.name.casefold() for join in joins for name in join.args.get("using") or []}
    return column.name.casefold() in used or any(join.args.get("method") == "NATURAL" for join in joins)


def _offer(near: tuple[str, ...], names: list[str]) -> str:
    if near:
        return f"; the nearest {'is' if len(near) == 1 else 'are'} {', '.join(near)}"
    listed = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"; there is {listed}" if names else ""
