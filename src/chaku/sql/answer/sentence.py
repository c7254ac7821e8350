"""Says a result in one sentence of the question's language.

The sentence is a template that the shape of the query and of the result chooses. Every name and number in it is copied
from the rows or the query, or counts the rows, so it cannot say more than they do.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlglot import exp

from chaku.sql.answer.language import PHRASES, Phrases, language_of
from chaku.sql.execute.parse import Refused, parse
from chaku.sql.execute.runner import Result
from chaku.sql.schema.definition import Dialect, on_one_line

SAID_ROWS = 5
CELL_CHARS = 60
FILTER_CHARS = 200
NUMBER_OF = "number_of_"  # the beginning of a result's name, as in the metrics of a first glossary
_FUNCTIONS = {exp.Count: "count", exp.Sum: "sum", exp.Avg: "avg", exp.Min: "min", exp.Max: "max"}


def sentence(question: str, sql: str, result: Result, dialect: Dialect = "sqlite", hidden: Sequence[str] = ()) -> str:
    """One sentence about the rows of a query that ran; a cut result adds a second one, which says so.

    `hidden`: tables of the query whose rows the role sees in part. So "none" would say too much of them.
    """
    phrases = PHRASES[language_of(question)]
    try:
        tree = parse(sql, dialect)
    except Refused:
        tree = exp.Select()
    query, tables = _Query(tree, dialect, phrases), phrases.comma.join(hidden)
    if hidden and not result.rows:
        return phrases.none_seen.format(where=_where(query, phrases), tables=tables)
    said = _said(query, result, phrases) + (phrases.hidden.format(tables=tables) if hidden else "")
    return said + (phrases.cut if result.truncated else "")


def cell_text(cell: Any) -> str:
    """A cell on one line of at most CELL_CHARS characters; numbers are never cut."""
    if cell is None:
        return "NULL"
    text = f"0x{cell.hex()}" if isinstance(cell, bytes) else on_one_line(str(cell))
    if isinstance(cell, str | bytes) and len(text) > CELL_CHARS:
        text = text[: CELL_CHARS - 1] + "…"
    return text


def _said(query: "_Query", result: Result, phrases: Phrases) -> str:
    rows, columns = result.rows, result.columns
    filters, where = query.filters, _where(query, phrases)
    if not rows:
        return phrases.no_rows.format(filters=filters) if filters else phrases.no_rows_at_all
    if len(rows) == 1 and len(columns) == 1 and not query.order:
        return phrases.one_value.format(subject=query.subject(0, columns), value=cell_text(rows[0][0]), where=where)
    if query.order and query.limited:
        template = phrases.first_row if len(rows) == 1 else phrases.first_rows
        return template.format(n=len(rows), key=query.order, items=_items(rows, phrases), where=where)
    if len(rows) == 1:
        pairs = phrases.comma.join(
            f"{on_one_line(name)} = {cell_text(cell)}" for name, cell in zip(columns, rows[0], strict=True)
        )
        return phrases.one_row.format(pairs=pairs, where=where)
    label = query.group_column
    if label is not None and len(columns) == 2 and not result.truncated and _are_numbers(rows, number := 1 - label):
        low, high = min(rows, key=lambda row: row[number]), max(rows, key=lambda row: row[number])
        return phrases.groups.format(
            subject=query.subject(number, columns), low=cell_text(low[number]), low_label=cell_text(low[label]),
            high=cell_text(high[number]), high_label=cell_text(high[label]), n=len(rows),
            label=on_one_line(columns[label]), where=where,
        )  # fmt: skip
    names = phrases.comma.join(map(on_one_line, columns))
    return phrases.several_rows.format(n=len(rows), columns=names, items=_items(rows, phrases), where=where)


def _where(query: "_Query", phrases: Phrases) -> str:
    return phrases.where.format(filters=query.filters) if query.filters else ""


def _are_numbers(rows: Sequence[tuple], column: int) -> bool:
    """Whether a column has numbers alone, without NaN, which nothing is larger or smaller than."""
    cells = [row[column] for row in rows]
    return all(isinstance(cell, int | float | Decimal) and cell == cell for cell in cells)


def _items(rows: Sequence[tuple], phrases: Phrases) -> str:
    """The first rows: "Peru (12)" for a row of two cells."""
    items = []
    for first, *others in rows[:SAID_ROWS]:
        inside = phrases.comma.join(map(cell_text, others))
        items.append(f"{cell_text(first)} ({inside})" if others else cell_text(first))
    said = phrases.comma.join(items)
    return said if len(rows) <= SAID_ROWS else phrases.more.format(items=said, n=len(rows) - SAID_ROWS)


class _Query:
    """What a sentence says of a query."""

    def __init__(self, tree: exp.Expr, dialect: Dialect, phrases: Phrases):
        self.tree, self._dialect, self._phrases = tree, dialect, phrases

    @property
    def filters(self) -> str:
        """All conditions, cut to FILTER_CHARS characters."""
        found = self._phrases.comma.join(self._text(part.this) for part in self.tree.find_all(exp.Where, exp.Having))
        return found if len(found) <= FILTER_CHARS else found[: FILTER_CHARS - 1] + "…"

    @property
    def order(self) -> str:
        """The keys of the order, each with its direction; empty without an order, or for a key by its position."""
        order = self.tree.args.get("order")
        keys = []
        for key in order.expressions if order else ():
            if isinstance(key.this, exp.Literal):
                return ""
            template = self._phrases.largest_first if key.args.get("desc") else self._phrases.smallest_first
            keys.append(template.format(key=self._text(key.this)))
        return "; ".join(keys)

    @property
    def limited(self) -> bool:
        """Whether the query keeps the first rows of its order."""
        return self.tree.args.get("limit") is not None and self.tree.args.get("offset") is None

    @property
    def group_column(self) -> int | None:
        """The column of which each row has another value, since the query groups by it alone; None without one."""
        group = self.tree.args.get("group")
        keys = group.expressions if group else []
        if len(keys) != 1 or not isinstance(self.tree, exp.Select):
            return None
        key = self._text(keys[0])
        grouped = (key in (self._text(shown.unalias()), shown.alias) for shown in self.tree.selects)
        return next((column for column, is_key in enumerate(grouped) if is_key), None)

    def subject(self, column: int, columns: Sequence[str]) -> str:
        """The words for the numbers in a column: "The number of customers"."""
        selects = self.tree.selects if isinstance(self.tree, exp.Select) and self._reads_tables_alone() else []
        if column < len(selects):
            call = selects[column].unalias()
            kind = _FUNCTIONS.get(type(call))
            argument = call.this if kind else None
            if isinstance(argument, exp.Distinct) and kind == "count" and len(argument.expressions) == 1:
                kind, argument = "count_different", argument.expressions[0]
            if kind == "count" and isinstance(argument, exp.Star):
                return self._phrases.count.format(x=self._counted(selects[column].alias))
            if kind and isinstance(argument, exp.Column):
                return str(getattr(self._phrases, kind).format(x=on_one_line(argument.name)))
        return self._phrases.value.format(x=on_one_line(columns[column]))

    def _reads_tables_alone(self) -> bool:
        """Whether the numbers are about tables, not about the rows of subqueries or of a part of the groups."""
        source = self.tree.args.get("from_")
        return (
            source is not None
            and isinstance(source.this, exp.Table)
            and not self.tree.ctes
            and not any(self.tree.args.get(part) for part in ("having", "limit", "offset", "distinct"))
        )

    def _counted(self, alias: str) -> str:
        """What count(*) counts: by the result's name, or the rows of a table, or of several tables together."""
        if alias.startswith(NUMBER_OF):
            return on_one_line(alias.removeprefix(NUMBER_OF).replace("_", " "))
        if self.tree.args.get("joins"):
            return self._phrases.rows
        name = on_one_line(self.tree.args["from_"].this.name)
        return name if name.lower().endswith("s") else self._phrases.rows_of.format(x=name)

    def _text(self, node: exp.Expr) -> str:
        return on_one_line(node.sql(dialect=self._dialect, comments=False))
