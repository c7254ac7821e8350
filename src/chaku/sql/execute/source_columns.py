"""The columns of the tables and subqueries that each scope of a query reads, as its engine compares their names."""

from collections.abc import Iterable
from typing import Any

from sqlglot import exp

from chaku.sql.engines.known import ENGINES
from chaku.sql.execute.near_names import nearest
from chaku.sql.schema.definition import Schema

Columns = dict[str, str | None]  # a column's name as the engine compares it -> in the schema (None: a system column)


class SourceColumns:
    """Finds the columns of sources in a schema. They are None where they cannot be known.

    PostgreSQL compares quoted names exactly and other names in small letters. MySQL distinguishes the case of tables
    and aliases, but not of columns. SQLite and DuckDB ignore case: see `Engine`.
    """

    def __init__(self, schema: Schema):
        self.dialect, self.search_path = schema.dialect, schema.search_path
        self.engine = ENGINES[schema.dialect]
        self.names = [table.name for table in schema.tables]
        # By (schema, name); the schema is "" on the search path.
        self.tables = {
            (self.table_key(table.namespace), self.table_key(table.bare_name)): table for table in schema.tables
        }
        self.by_name = {table.name: table for table in schema.tables}
        self.read: dict[str, Columns] = {}  # of the tables that were asked for: a schema may have thousands
        self.seen: dict[int, tuple[Any, dict[str, Columns | None]]] = {}  # scopes with their sources

    def table_key(self, name: str) -> str:
        return name if self.engine.exact_tables else name.lower()

    def key(self, column: str) -> str:
        return column if self.engine.exact_columns else column.lower()

    def keyed(self, columns: Iterable[str]) -> Columns:
        return {self.key(name): name for name in columns}

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
