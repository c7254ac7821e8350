"""Predictions with known errors, made from gold queries: one function an error, None where it does not apply."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import sqlglot
from sqlglot import exp

from chaku.sql.execute.lexer import tokenize
from chaku.sql.schema.definition import Schema

Tree = Any


def plant(gold: str, other_gold: str, schema: Schema) -> Iterator[tuple[str, str]]:
    """(kind, prediction) for every kind of error that applies to the gold query."""
    yield "none", gold
    yield "another question's query", other_gold
    yield "nothing", ""
    for kind, on_text in ON_TEXT.items():
        changed = on_text(gold)
        if changed and changed != gold:
            yield kind, changed
    for kind, on_tree in ON_TREE.items():
        tree = sqlglot.parse_one(gold, dialect="sqlite")
        columns = {table.name.lower(): [column.name for column in table.columns] for table in schema.tables}
        before = natural(tree)
        if (changed_tree := on_tree(tree, columns)) is not None:
            text = natural(changed_tree)
            if text != before or kind == "rewritten":
                yield kind, text


def natural(tree: Tree) -> str:
    """The query in the words that Spider's own parser reads."""
    text = tree.sql(dialect="sqlite").replace("<>", "!=")
    text = re.sub(r"\bNOT ([\w.]+) (IN|LIKE|BETWEEN)\b", r"\1 NOT \2", text)
    return re.sub(r" (ASC )?NULLS (FIRST|LAST)", "", text)


def _where(tree: Tree) -> Tree:
    where = tree.find(exp.Where)
    return where if where and where.parent is tree else None


def _select(tree: Tree) -> Tree:
    return tree if isinstance(tree, exp.Select) else tree.find(exp.Select)


def _drop_condition(tree: Tree, _: Any) -> Tree | None:
    where = _where(_select(tree))
    if where is None:
        return None
    if isinstance(where.this, exp.And | exp.Or):
        where.set("this", where.this.this)
    else:
        _select(tree).set("where", None)
    return tree


def _change_constant(tree: Tree, _: Any) -> Tree | None:
    for literal in tree.find_all(exp.Literal):
        if not isinstance(literal.parent, exp.Limit):
            literal.replace(exp.Literal.string(literal.this + "x") if literal.is_string else _plus_one(literal))
            return tree
    return None


def _plus_one(literal: Tree) -> Tree:
    return exp.Literal.number(float(literal.this) + 1 if "." in literal.this else int(literal.this) + 1)


def _reorder(key: str) -> Callable[[Tree, Any], Tree | None]:
    def change(tree: Tree, _: Any) -> Tree | None:
        select = _select(tree)
        parent = select if key == "select" else select.args.get(key)
        if parent is None or len(parent.expressions) < 2:
            return None
        parent.set("expressions", [*parent.expressions[1:], parent.expressions[0]])
        return tree

    return change


def _wrong_column(tree: Tree, columns: dict[str, list[str]]) -> Tree | None:
    for column in _select(tree).find_all(exp.Column):
        for names in columns.values():
            lower = [name.lower() for name in names]
            if column.name.lower() in lower and len(names) > 1:
                other = names[(lower.index(column.name.lower()) + 1) % len(names)]
                if " " not in other:
                    column.set("this", exp.to_identifier(other))
                    return tree
    return None


def _wrong_aggregate(tree: Tree, _: Any) -> Tree | None:
    swaps = {exp.Max: exp.Min, exp.Min: exp.Max, exp.Sum: exp.Avg, exp.Avg: exp.Sum}
    for kind, other in swaps.items():
        if found := tree.find(kind):
            found.replace(other(this=found.this))
            return tree
    return None


def _count_column(tree: Tree, columns: dict[str, list[str]]) -> Tree | None:
    found = tree.find(exp.Count)
    table = tree.find(exp.Table)
    if found is None or not isinstance(found.this, exp.Star) or table is None or table.name.lower() not in columns:
        return None
    found.set("this", exp.column(columns[table.name.lower()][0], table=table.alias or None))
    return tree


def _toggle_distinct(tree: Tree, _: Any) -> Tree | None:
    select = _select(tree)
    select.set("distinct", None if select.args.get("distinct") else exp.Distinct())
    return tree


def _toggle_count_distinct(tree: Tree, _: Any) -> Tree | None:
    found = tree.find(exp.Count)
    if found is None or isinstance(found.this, exp.Star):
        return None
    inner = found.this
    found.set("this", inner.expressions[0] if isinstance(inner, exp.Distinct) else exp.Distinct(expressions=[inner]))
    return tree


def _flip_order(tree: Tree, _: Any) -> Tree | None:
    found = tree.find(exp.Ordered)
    if found is None:
        return None
    found.set("desc", not found.args.get("desc"))
    return tree


def _drop(key: str) -> Callable[[Tree, Any], Tree | None]:
    def change(tree: Tree, _: Any) -> Tree | None:
        if not tree.args.get(key):
            return None
        tree.set(key, None)
        return tree

    return change


def _larger_limit(tree: Tree, _: Any) -> Tree | None:
    limit = tree.args.get("limit")
    if not limit:
        return None
    limit.set("expression", _plus_one(limit.expression))
    return tree


def _add_limit(tree: Tree, _: Any) -> Tree | None:
    return None if tree.args.get("limit") or not isinstance(tree, exp.Select) else tree.limit(1)


def _wrong_key(tree: Tree, columns: dict[str, list[str]]) -> Tree | None:
    for join in tree.find_all(exp.Join):
        names = columns.get(join.this.name.lower(), [])
        for column in join.args["on"].find_all(exp.Column) if join.args.get("on") else []:
            if column.table.lower() == join.this.alias.lower() and len(names) > 1 and " " not in "".join(names):
                column.set(
                    "this", exp.to_identifier(next(name for name in names if name.lower() != column.name.lower()))
                )
                return tree
    return None


def _drop_on(tree: Tree, _: Any) -> Tree | None:
    join = tree.find(exp.Join)
    if join is None or not join.args.get("on"):
        return None
    join.set("on", None)
    return tree


def _outer_join(tree: Tree, _: Any) -> Tree | None:
    join = tree.find(exp.Join)
    if join is None:
        return None
    join.set("side", "LEFT")
    return tree


def _drop_join(tree: Tree, _: Any) -> Tree | None:
    joins = _select(tree).args.get("joins")
    if not joins:
        return None
    _select(tree).set("joins", joins[:-1])
    return tree


def _swap_join(tree: Tree, _: Any) -> Tree | None:
    select = _select(tree)
    joins = select.args.get("joins") or []
    if len(joins) != 1 or not isinstance(joins[0].this, exp.Table):
        return None
    first, second = select.args["from_"].this.copy(), joins[0].this.copy()
    select.args["from_"].set("this", second)
    joins[0].set("this", first)
    return tree


def _equal_column(tree: Tree, _: Any) -> Tree | None:
    select = _select(tree)
    for join in select.args.get("joins") or []:
        on = join.args.get("on")
        if not isinstance(on, exp.EQ) or not isinstance(on.expression, exp.Column):
            continue
        for column in [node for item in select.expressions for node in item.find_all(exp.Column)]:
            for here, there in ((on.this, on.expression), (on.expression, on.this)):
                if column == here:
                    column.replace(there.copy())
                    return tree
    return None


def _operator(tree: Tree, _: Any) -> Tree | None:
    swaps = {exp.GT: exp.GTE, exp.LT: exp.LTE, exp.GTE: exp.GT, exp.LTE: exp.LT, exp.EQ: exp.NEQ, exp.NEQ: exp.EQ}
    for clause in tree.find_all(exp.Where, exp.Having):
        for kind, other in swaps.items():
            if found := clause.find(kind):
                found.replace(other(this=found.this, expression=found.expression))
                return tree
    return None


def _connector(tree: Tree, _: Any) -> Tree | None:
    where = tree.find(exp.Where)
    found = where and where.find(exp.And, exp.Or)
    if not found:
        return None
    other = exp.Or if isinstance(found, exp.And) else exp.And
    found.replace(other(this=found.this, expression=found.expression))
    return tree


def _swap_conditions(tree: Tree, _: Any) -> Tree | None:
    where = tree.find(exp.Where)
    found = where and where.find(exp.And, exp.Or)
    if not found:
        return None
    found.replace(type(found)(this=found.expression.copy(), expression=found.this.copy()))
    return tree


def _negate(tree: Tree, _: Any) -> Tree | None:
    for found in tree.find_all(exp.In, exp.Like):
        if found.args.get("negate"):
            found.set("negate", None)
        elif isinstance(found.parent, exp.Not):
            found.parent.replace(found)
        else:
            found.replace(exp.Not(this=found.copy()))
        return tree
    return None


def _extra_column(tree: Tree, columns: dict[str, list[str]]) -> Tree | None:
    table = _select(tree).args["from_"].this
    names = columns.get(table.name.lower(), [])
    if not names or " " in names[-1]:
        return None
    _select(tree).append("expressions", exp.column(names[-1], table=table.alias or None))
    return tree


def _repeat_column(tree: Tree, _: Any) -> Tree | None:
    _select(tree).append("expressions", _select(tree).expressions[0].copy())
    return tree


def _drop_column(tree: Tree, _: Any) -> Tree | None:
    if len(_select(tree).expressions) < 2:
        return None
    _select(tree).set("expressions", _select(tree).expressions[:-1])
    return tree


def _star(tree: Tree, _: Any) -> Tree | None:
    _select(tree).set("expressions", [exp.Star()])
    return tree


def _unknown_column(tree: Tree, _: Any) -> Tree | None:
    found = tree.find(exp.Column)
    if found is None:
        return None
    found.set("this", exp.to_identifier("no_such_column"))
    return tree


def _unknown_table(tree: Tree, _: Any) -> Tree | None:
    tree.find(exp.Table).set("this", exp.to_identifier("no_such_table"))
    return tree


def _set_operation(tree: Tree, _: Any) -> Tree | None:
    swaps = {exp.Union: exp.Intersect, exp.Intersect: exp.Except, exp.Except: exp.Union}
    for kind, other in swaps.items():
        if type(tree) is kind:
            return other(this=tree.this, expression=tree.expression, distinct=True)
    return None


def _first_part(tree: Tree, _: Any) -> Tree | None:
    return tree.this if isinstance(tree, exp.SetOperation) else None


def _swap_parts(tree: Tree, _: Any) -> Tree | None:
    if not isinstance(tree, exp.SetOperation):
        return None
    return type(tree)(this=tree.expression, expression=tree.this, distinct=True)


def _in_subquery(change: Callable[[Tree, Any], Tree | None]) -> Callable[[Tree, Any], Tree | None]:
    def changed(tree: Tree, columns: Any) -> Tree | None:
        found = next((node for node in tree.find_all(exp.Select) if node.parent_select is not None), None)
        return tree if found is not None and change(found, columns) is not None else None

    return changed


def _cut_off(gold: str) -> str:
    words = gold.split()
    return " ".join(words[: max(len(words) - 2, 1)])


def _aliases(pattern: str) -> Callable[[str], str]:
    return lambda gold: re.sub(r"\bT(\d)\b", pattern, gold, flags=re.IGNORECASE)


def _literals(value: str) -> Callable[[str], str]:
    return lambda gold: "".join(
        value if token.kind in ("string", "number") or token.text.startswith('"') else token.text
        for token in tokenize(gold)
    )


def _quotes(gold: str) -> str:
    if "'" in gold:
        return gold.replace("'", '"') if '"' not in gold else gold
    return gold.replace('"', "'")


ON_TEXT: dict[str, Callable[[str], str]] = {
    "cut off": _cut_off,
    "aliases renamed": _aliases(r"tab\1"),
    "aliases without AS": lambda gold: re.sub(r"\s+AS\s+(T\d)", r" \1", gold, flags=re.IGNORECASE),
    "operators in two": lambda gold: gold.replace(">=", "> =").replace("!=", "! ="),
    "placeholders for values": _literals("value"),
    "1 for values": _literals("1"),
    "other quotes": _quotes,
    "lower case": str.lower,
    "a semicolon": lambda gold: gold + ";",
    "misspelt keyword": lambda gold: re.sub("from", "form", gold, count=1, flags=re.IGNORECASE),
}

ON_TREE: dict[str, Callable[[Tree, dict[str, list[str]]], Tree | None]] = {
    "rewritten": lambda tree, _: tree,
    "condition dropped": _drop_condition,
    "constant changed": _change_constant,
    "columns swapped": _reorder("select"),
    "column wrong": _wrong_column,
    "column more": _extra_column,
    "column less": _drop_column,
    "column twice": _repeat_column,
    "star": _star,
    "aggregate wrong": _wrong_aggregate,
    "count of a column": _count_column,
    "DISTINCT more or less": _toggle_distinct,
    "COUNT DISTINCT more or less": _toggle_count_distinct,
    "order flipped": _flip_order,
    "order dropped": _drop("order"),
    "order keys swapped": _reorder("order"),
    "limit larger": _larger_limit,
    "limit dropped": _drop("limit"),
    "limit added": _add_limit,
    "group dropped": _drop("group"),
    "group keys swapped": _reorder("group"),
    "having dropped": _drop("having"),
    "join key wrong": _wrong_key,
    "join without ON": _drop_on,
    "join outer": _outer_join,
    "join dropped": _drop_join,
    "join swapped": _swap_join,
    "column that a key makes equal": _equal_column,
    "operator wrong": _operator,
    "AND for OR": _connector,
    "conditions swapped": _swap_conditions,
    "negated": _negate,
    "column unknown": _unknown_column,
    "table unknown": _unknown_table,
    "set operation wrong": _set_operation,
    "second part dropped": _first_part,
    "parts swapped": _swap_parts,
    "subquery without condition": _in_subquery(_drop_condition),
    "subquery with DISTINCT": _in_subquery(_toggle_distinct),
    "subquery with wrong aggregate": _in_subquery(_wrong_aggregate),
}
