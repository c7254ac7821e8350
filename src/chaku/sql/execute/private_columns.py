"""Refuses queries that read private columns: by name, by `*`, as a whole row, by a join that compares them.

Whatever is not plainly another column is refused. SQLite's authorizer refuses the same columns again, in views too
(`query_process`); for other engines, the text that is checked here is the text that runs.
"""

from collections.abc import Iterator

from sqlglot import exp

from chaku.sql.engines.known import ENGINES
from chaku.sql.schema.definition import Schema


def private_problems(tree: exp.Expr, schema: Schema) -> Iterator[str]:
    """Why a query may not run: a sentence for each use of a private column."""
    names = {table.bare_name.lower(): table for table in schema.tables if any(c.private for c in table.columns)}
    read = [node for node in tree.find_all(exp.Table) if node.name.lower() in names]
    if not read:
        return
    private = {  # column -> the first of its tables that the query reads
        column.name.lower(): names[node.name.lower()].name
        for node in reversed(read)
        for column in names[node.name.lower()].columns
        if column.private
    }
    secret = {node.alias_or_name.lower() for node in read} | {node.name.lower() for node in read}
    others = _public_owners(tree, secret)
    for node in read:
        if node.alias_column_names:
            yield f"{node.name} has private columns, so its columns cannot be renamed in FROM"
    for identifier in tree.find_all(exp.Identifier):
        name, parent = identifier.name.lower(), identifier.parent
        is_name = isinstance(parent, exp.Column) and parent.this is identifier
        qualifier = parent.table.lower() if isinstance(parent, exp.Column) and is_name else ""
        if name in private and not (qualifier in others or _is_definition(identifier)):
            yield _is_private(f"{private[name]}.{identifier.name}")
        elif is_name and name in secret and not any(name == c.name.lower() for t in names.values() for c in t.columns):
            yield f"{identifier.name} as a whole row has private columns; name the columns that you need"
        elif is_name and name in ENGINES[schema.dialect].row_ids and _hides_key(schema):
            yield f"{identifier.name} may be a private primary key"
    yield from _stars(tree, secret)
    if any(join.args.get("method") == "NATURAL" for join in tree.find_all(exp.Join)):
        yield "a NATURAL join compares private columns; write JOIN ... ON"


def _is_private(column: str) -> str:
    return f"{column} is private (in the glossary), so a query may neither show it nor filter, sort or join by it"


def _public_owners(tree: exp.Expr, secret: set[str]) -> set[str]:
    """The aliases of tables and subqueries that have no private column under this alias anywhere in the query."""
    named = {node.alias_or_name.lower() for node in tree.find_all(exp.Table, exp.Subquery, exp.CTE)}
    return named - secret - {""}


def _is_definition(identifier: exp.Identifier) -> bool:
    """Whether a name is given here to a result, and so reads nothing."""
    return isinstance(identifier.parent, exp.Alias) and identifier.arg_key == "alias"


def _stars(tree: exp.Expr, secret: set[str]) -> Iterator[str]:
    for star in tree.find_all(exp.Star):
        holder, table = star.parent, ""
        if isinstance(holder, exp.Count):
            continue
        if isinstance(holder, exp.Column):
            holder, table = holder.parent, holder.table.lower()
        select = holder if isinstance(holder, exp.Select) else None
        sources = (node for node in tree.find_all(exp.Table) if select is None or node.parent_select is select)
        owners = {table} if table else {node.name.lower() for node in sources}
        if found := sorted(owners & secret):
            yield f"* stands for private columns of {found[0]}, too; name the columns that you need"


def _hides_key(schema: Schema) -> bool:
    return any(column.private and column.primary_key for table in schema.tables for column in table.columns)
