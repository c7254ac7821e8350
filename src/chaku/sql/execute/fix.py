"""Corrects misspelt names of a query where only one name can be meant."""

from typing import Any

from sqlglot import exp

from chaku.sql.execute.check import parse_query
from chaku.sql.execute.names import QueryProblem, name_problems
from chaku.sql.execute.near_names import is_same
from chaku.sql.execute.parse import Refused
from chaku.sql.execute.read_only import write_sql
from chaku.sql.schema.definition import Dialect, Schema, Table, quote_name
from chaku.sql.schema.private import without_private

FIXES = 3  # rounds of correcting names


def fix(sql: str, schema: Schema) -> tuple[str, list[str]]:
    """Correct names that differ from an existing name only in capitals, signs, quotes and plurals.

    Returns the query, and a sentence for each correction. A name that differs in other letters may mean something else
    (contact_id and contract_id), so it stays, and `check` reports it.
    """
    changes: dict[str, None] = {}
    schema = without_private(schema)
    tables = {table.name: table for table in schema.tables}
    for _ in range(FIXES):  # a corrected name may be the name of a result elsewhere in the query
        try:
            tree = parse_query(sql, schema)
        except Refused:
            break
        meant = [(problem, identifier, _plainly_meant(problem)) for problem, identifier in name_problems(tree, schema)]
        known = [(problem, identifier, name) for problem, identifier, name in meant if identifier is not None and name]
        if not known:
            break
        for problem, identifier, name in known:
            if problem.name.lower() != name.lower():
                changes[f"{problem.name} was read as {name}"] = None
            if problem.is_table:
                _name_table(identifier.parent, tables[name], schema.dialect)
            else:
                identifier.replace(_identifier(name, schema.dialect))
        try:
            sql = write_sql(tree, schema.dialect)
        except Refused:
            break
    return sql, list(changes)


def _plainly_meant(problem: QueryProblem) -> str:
    """The only name that is the same but for capitals, signs, quotes and plurals; "" otherwise."""
    same = [name for name in problem.nearest if is_same(problem.name, name) or name.endswith(f".{problem.name}")]
    return same[0] if len(same) == 1 else ""


def _name_table(node: Any, table: Table, dialect: Dialect) -> None:
    node.set("this", _identifier(table.bare_name, dialect))
    node.set("db", _identifier(table.namespace, dialect) if table.namespace else None)


def _identifier(name: str, dialect: Dialect) -> exp.Identifier:
    return exp.to_identifier(name, quoted=quote_name(name, dialect) != name)
