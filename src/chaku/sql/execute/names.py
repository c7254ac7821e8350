"""Looks up every name of a parsed query in a schema, scope by scope: tables, aliases and columns."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlglot import exp
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.scope import traverse_scope

from chaku.sql.engines.known import ENGINES
from chaku.sql.execute.near_names import OFFERED, is_same, nearest, offer
from chaku.sql.execute.parse import SQLGLOT_ERRORS
from chaku.sql.schema.definition import Schema

Columns = dict[str, str | None]  # a column's name as the engine compares it -> in the schema (None: a system column)
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


class _Checker:
    """Looks names up, scope by scope. The columns of a source are None when they cannot be known.

    PostgreSQL compares quoted names exactly and other names in small letters. MySQL distinguishes the case of tables
    and aliases, but not of columns. SQLite and DuckDB ignore case: see `Engine`.
    """

    def __init__(self, schema: Schema, written: "dict[int, exp.Identifier]"):
        self.dialect, self.search_path, self.written = schema.dialect, schema.search_path, written
        self.engine = ENGINES[schema.dialect]
        self.names = [table.name for table in schema.tables]
        # By (schema, name); the schema is "" on the search path.
        self.tables = {
            (self.table_key(table.namespace), self.table_key(table.bare_name)): table for table in schema.tables
        }
        self.by_name = {table.name: table for table in schema.tables}
        self.read: dict[str, Columns] = {}  # of the tables that were asked for: a schema may have thousands
        self.proven: set[int] = set()  # existing columns with a table's name in front
        self.seen: dict[int, tuple[Any, dict[str, Columns | None]]] = {}  # scopes with their sources

    def table_key(self, name: str) -> str:
        return name if self.engine.exact_tables else name.lower()

    def key(self, column: str) -> str:
        return column if self.engine.exact_columns else column.lower()

    def keyed(self, columns: Iterable[str]) -> Columns:
        return {self.key(name): name for name in columns}

    def spelt(self, identifier: exp.Identifier) -> str:
        """A name as the query spells it."""
        return str(self.written[id(identifier)].name)

    def columns_of(self, name: str) -> Columns:
        """The columns of a table of the schema; the same object each time."""
        if name not in self.read:
            self.read[name] = self.keyed(column.name for column in self.by_name[name].columns)
        return self.read[name]

    def find_table(self, node: exp.Table) -> Columns | None:
        found = self.tables.get((node.db, node.name))
        if found is None and node.db in map(self.table_key, self.search_path):
            found = self.tables.get(("", node.name))
        return None if found is None else self.columns_of(found.name)

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

    def sources(self, scope: Any) -> dict[str, Columns | None]:
        """The tables and subqueries of a scope by alias, with their columns.

        The result is cached: queries in WITH that read each other twice would otherwise take exponential time.
        """
        if id(scope) not in self.seen:
            found = {alias: self.columns(node, source) for alias, (node, source) in scope.selected_sources.items()}
            self.seen[id(scope)] = scope, found
        return self.seen[id(scope)][1]

    def outer(self, scope: Any) -> dict[str, Columns | None]:
        """The tables and subqueries of the surrounding queries that a subquery can use."""
        found: dict[str, Columns | None] = {}
        while scope is not None and not scope.is_cte and (not scope.is_derived_table or _is_lateral(scope)):
            scope = scope.parent
            if scope is not None:
                found = {**self.sources(scope), **found}
        return found

    def columns(self, node: Any, source: Any) -> Columns | None:
        if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier):
            columns = self.find_table(source)
            if columns is None and (near := nearest(source.name, self.names)):
                columns = self.columns_of(near[0])
            return self.renamed(columns, node)
        expression = getattr(source, "expression", None)
        if isinstance(expression, exp.Lateral) and isinstance(expression.this, exp.Subquery):
            return self.renamed(self.results(source, expression.this.unnest()), expression)
        if not isinstance(expression, exp.Query):
            return self.of_function(node)
        if (columns := self.results(source, expression)) is None:
            return None
        while isinstance(expression.parent, exp.SetOperation):
            expression = expression.parent
        return self.renamed(columns, expression.parent)  # WITH t (a, b) AS ..., or (...) AS t (a, b)

    def results(self, source: Any, expression: Any) -> Columns | None:
        """The columns that a query returns."""
        while isinstance(expression, exp.SetOperation):  # its results have the names of the first query
            expression = expression.left.unnest()
        source = next((scope for scope in source.traverse() if scope.expression is expression), None)
        found: Columns = {}
        for select in expression.selects:
            if not select.is_star:
                found |= self.keyed([select.alias_or_name])
                continue
            inner = self.sources(source) if source is not None else {"": None}
            owners = [inner.get(select.table)] if isinstance(select, exp.Column) else [*inner.values()]
            for columns in owners:
                if columns is None:
                    return None
                found |= columns
        return found

    def renamed(self, columns: Columns | None, holder: Any) -> Columns | None:
        """The columns with new names from an alias with names in parentheses."""
        may_rename = isinstance(holder, exp.CTE | exp.Subquery | exp.Table | exp.Lateral)
        named = holder.alias_column_names if may_rename else []
        if not named or columns is None:
            return columns
        return self.keyed(named) | dict([*columns.items()][len(named) :])

    def of_function(self, node: Any) -> Columns | None:
        """The columns of a function that returns rows, from its alias or `table_functions`; None if unknown."""
        alias = node.args.get("alias")
        if alias is not None and alias.columns:
            return self.keyed(column.name for column in alias.columns)
        call = node if isinstance(node, exp.Unnest) else node.find(exp.Func)
        if call is None:
            return None
        called = call.sql(dialect=self.dialect).split("(")[0].lower()
        known = self.engine.table_functions.get(called)
        return None if known is None else self.keyed(name or node.alias_or_name or called for name in known)


def _is_lateral(scope: Any) -> bool:
    holder = scope.expression.parent
    return isinstance(holder, exp.Lateral) or isinstance(getattr(holder, "parent", None), exp.Lateral)


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
