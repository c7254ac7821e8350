"""Explains a query in plain words, clause by clause, for a reader who knows the data but not SQL."""

from typing import Any

from sqlglot import exp

from chaku.sql.execute.check import parse_query
from chaku.sql.schema.definition import Schema

SET_OPERATIONS = {"Union": "together with", "Intersect": "that are also among", "Except": "without"}


def explain(sql: str, schema: Schema) -> list[str]:
    """One line for each step, in the order of the computation. Raises Refused for a text that is no query."""
    return _query(parse_query(sql, schema), schema.dialect)


def _query(tree: Any, dialect: str) -> list[str]:
    lines = [f"First, as {cte.alias}: {'; '.join(_query(cte.this, dialect))}" for cte in tree.ctes]
    if isinstance(tree, exp.SetOperation):
        words = SET_OPERATIONS[type(tree).__name__]
        lines += [*_query(tree.left, dialect), f"{words}:", *_query(tree.right, dialect)]
    elif isinstance(tree, exp.Subquery):
        lines += _query(tree.this, dialect)
    else:
        lines += _select(tree, dialect)
    if order := tree.args.get("order"):
        parts = [
            _text(expression.this, dialect)
            + (", the largest first" if expression.args.get("desc") else ", the smallest first")
            for expression in order.expressions
        ]
        lines.append(f"Sort by {'; then by '.join(parts)}")
    if limit := tree.args.get("limit"):
        offset = tree.args.get("offset")
        skipped = f" after the first {_text(offset.expression, dialect)}" if offset else ""
        lines.append(f"Keep {_text(limit.expression, dialect)} rows{skipped}")
    return lines


def _select(tree: exp.Select, dialect: str) -> list[str]:
    lines = []
    if source := tree.args.get("from_"):
        lines.append(f"Read {_source(source.this, dialect)}")
    for join in tree.args.get("joins") or []:
        kind = "with, where there is one," if join.side == "LEFT" else "with"
        used = ", ".join(name.name for name in join.args.get("using") or [])
        on = f" where {_text(join.args['on'], dialect)}" if join.args.get("on") else f" by equal {used}" if used else ""
        lines.append(f"Join each row {kind} the rows of {_source(join.this, dialect)}{on}")
    if where := tree.args.get("where"):
        lines.append(f"Keep rows where {_text(where.this, dialect)}")
    if group := tree.args.get("group"):
        lines.append(f"Put rows together that have the same {', '.join(_text(e, dialect) for e in group.expressions)}")
    if having := tree.args.get("having"):
        lines.append(f"Keep groups where {_text(having.this, dialect)}")
    different = "different " if tree.args.get("distinct") else ""
    shown = ", ".join(
        "all columns" if select.is_star and select.name == "*" else _text(select, dialect) for select in tree.selects
    )
    lines.append(f"Show {different}{shown}")
    return lines


def _source(source: Any, dialect: str) -> str:
    called = f", called {source.alias}" if source.alias else ""
    if isinstance(source, exp.Subquery):
        read = source.this
        steps = _query(read, dialect) if isinstance(read, exp.Query) else [_text(read, dialect)]  # (a JOIN b)
        return f"({'; '.join(steps)}){called}"
    return f"{source.name}{called}"


def _text(node: Any, dialect: str) -> str:
    return str(node.sql(dialect=dialect, comments=False))
