"""Looks up every name of a parsed query in a schema, scope by scope: tables, aliases and columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlglot import exp
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.scope import traverse_scope

from chaku.sql.engines.known import ENGINES
from chaku.sql.execute.near_names import OFFERED, is_same, nearest, offer
from chaku.sql.execute.parse import SQLGLOT_ERRORS
from chaku.sql.execute.source_columns import Columns, SourceColumns
from chaku.sql.schema.definition import Schema

Found = tuple["QueryProblem", exp.Identifier | None]  # a problem, and the name in the tree that may be corrected


@dataclass(frozen=True)
class QueryProblem:
    """An error in a query. `name`: the wrong name as written. `nearest`: likely corrections, the likeliest first."""

    message: str
    name: str = ""
    nearest: tuple[str, ...] = ()
    is_table: bool = False


def name_problems(tree: exp.Expr, schema: Schema) -> Iterator[Found]:
    """The wrong names of a query, each with its place in the tree."""
    try:  # sqlglot finds a scope's sources lazily, and raises for a table that is named twice
        compared = tree.copy()  # gets its names as the engine compares them; a very deep tree cannot be copied
        pairs = zip(compared.find_all(exp.Identifier), tree.find_all(exp.Identifier), strict=True)
        checker = _Checker(schema, {id(copy): identifier for copy, identifier in pairs})
        compared = normalize_identifiers(compared, dialect=schema.dialect)
        if not ENGINES[schema.dialect].forms.keywords.get("RECURSIVE", "recursive"):
            for node in compared.find_all(exp.With):
                node.set("recursive", True)  # a query may read itself without the word
        found = [pair for scope in traverse_scope(compared) for pair in checker.check(scope)]
        if ENGINES[schema.dialect].dots_call and not found:
            found = list(checker.calls(compared))
    except SQLGLOT_ERRORS as error:
        yield QueryProblem(f"its scopes do not fit: {error}"), None
        return
    yield from found


class _Checker(SourceColumns):
    """Looks names up, scope by scope. `written`: the names of the query as they were written."""

    def __init__(self, schema: Schema, written: "dict[int, exp.Identifier]"):
        super().__init__(schema)
        self.written = written
        self.proven: set[int] = set()  # existing columns with a table's name in front

    def spelt(self, identifier: exp.Identifier) -> str:
        """A name as the query spells it."""
        return str(self.written[id(identifier)].name)

    def check(self, scope: Any) -> Iterator[Found]:
        for node, source in scope.selected_sources.values():
            if isinstance(source, exp.Table) and source.name and self.find_table(source) is None:
                yield self.no_table(node)
        here, outer = self.sources(scope), self.outer(scope)
        # ORDER BY may use the name of a result, but a result that is a bare column must itself be a column.
        bare = (exp.Column,) if isinstance(scope.expression, exp.Select) else ()
        results = (select for select in scope.expression.selects if not (isinstance(select, bare) and not select.table))
        outputs = {self.key(result.alias_or_name) for result in results}
        for column in scope.columns:
            if not isinstance(column.this, exp.Identifier) or column.find_ancestor(exp.Query) is not scope.expression:
                continue
            if column.table:
                yield from self.qualified(column, {**outer, **here})
            elif self.key(column.name) not in outputs or not _may_name_results(column):
                yield from self.bare(column, here, outer)

    def no_table(self, node: exp.Table) -> Found:
        name = self.spelt(node.this)
        elsewhere = [known for known in self.names if known.endswith(f".{name}")]
        near = (*elsewhere[:OFFERED],) or nearest(name, self.names)
        shown = f"{node.db}.{name}" if node.db else name
        message = f"there is no table {shown}{offer(near, self.names)}"
        return QueryProblem(message, name, near, is_table=True), self.written[id(node.this)]

    def qualified(self, column: exp.Column, reach: dict[str, Columns | None]) -> Iterator[Found]:
        table, name = column.table, self.spelt(column.this)
        if self.engine.fields_by_dot and table not in reach and self.is_struct(column, reach):
            return
        if table not in reach:
            identifier = column.args["table"]
            written, others = self.spelt(identifier), sorted(reach)
            near = tuple(other for other in others if other.lower() == written.lower())
            message = f"{written} in {written}.{name} is no table of this query{offer(near, others)}"
            yield QueryProblem(message, written, near), self.written[id(identifier)] if near else None
            return
        columns = reach[table]
        if columns is None:
            return
        if self.key(column.name) in columns or (not column.db and self.is_system(column, reach)):
            self.proven.add(id(column))
            return
        known = [column for column in columns.values() if column]
        near = nearest(name, known)
        message = f"{self.spelt(column.args['table'])} has no column {name}{offer(near, sorted(known))}"
        yield QueryProblem(message, name, near), self.written[id(column.this)]

    def is_struct(self, column: exp.Column, reach: dict[str, Columns | None]) -> bool:
        """Whether a.b, or t.a.b, means the field b of a column a."""
        if column.db:
            return column.db in reach
        return any(columns is None or column.table in columns for columns in reach.values())

    def bare(
        self, column: exp.Column, here: dict[str, Columns | None], outer: dict[str, Columns | None]
    ) -> Iterator[Found]:
        name, key = self.spelt(column.this), self.key(column.name)
        owners = [alias for alias, columns in here.items() if columns is not None and key in columns]
        if len(owners) > 1 and not _is_merged(column):
            yield QueryProblem(f"{name} is ambiguous: {' or '.join(f'{owner}.{name}' for owner in owners)}", name), None
        reach = {**outer, **here}
        if owners or any(columns is None or key in columns for columns in reach.values()):
            return
        if key in self.engine.system_columns or (self.engine.whole_rows and key in reach):
            return
        known = {column for columns in reach.values() if columns for column in columns.values() if column}
        near = nearest(name, known)
        elsewhere = [table for table in self.names if key in self.columns_of(table)]
        if elsewhere and not (near and is_same(name, near[0])):
            message = f"{name} is a column of {', '.join(elsewhere[:OFFERED])}, which this query does not read"
            yield QueryProblem(message, name), None
        else:
            message = f"no table of this query has a column {name}{offer(near, sorted(known))}"
            yield QueryProblem(message, name, near), self.written[id(column.this)]

    def calls(self, tree: exp.Expr) -> Iterator[Found]:
        """Some engines read c.f as a call of f if c has no column f, so every such column must be known."""
        for column in tree.find_all(exp.Column):
            if column.table and isinstance(column.this, exp.Identifier) and id(column) not in self.proven:
                name = f"{column.table}.{column.name}"
                table = column.table
                message = f"{name} may call a function: name the columns of {table}, as in AS {table} (a, b)"
                yield QueryProblem(message, name), None

    def is_system(self, column: exp.Column, reach: dict[str, Columns | None]) -> bool:
        """Whether the column is a system column of a table."""
        columns = reach[column.table]
        return column.name.lower() in self.engine.system_columns and any(
            columns is table for table in self.read.values()
        )


def _may_name_results(column: exp.Column) -> bool:
    """Whether a column stands at a place where the query's own results may be named."""
    place = column.find_ancestor(exp.Order, exp.Group, exp.Having, exp.Query)
    return not isinstance(place, exp.Query) or isinstance(place, exp.SetOperation)


def _is_merged(column: exp.Column) -> bool:
    """Whether a join (USING, NATURAL) merges this column with the same column of another table."""
    query = column.find_ancestor(exp.Query)
    joins = query.args.get("joins") or [] if query is not None else []
    used = {name.name.casefold() for join in joins for name in join.args.get("using") or []}
    return column.name.casefold() in used or any(join.args.get("method") == "NATURAL" for join in joins)
