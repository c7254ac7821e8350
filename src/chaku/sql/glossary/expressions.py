"""Parses the SQL of a glossary: aggregate expressions and conditions over the columns of one table, nothing else."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlglot import exp

from chaku.sql.execute.functions import FUNCTIONS
from chaku.sql.execute.near_names import nearest
from chaku.sql.execute.parse import Refused, parse
from chaku.sql.glossary.file import Glossary, MetricEntry
from chaku.sql.glossary.joins import find_column, find_table
from chaku.sql.schema.definition import Dialect, Schema, Table, quote_name

_NODES = """Column Identifier Literal Boolean Null Paren Between In Is Distinct Star DataType DataTypeParam Interval Var
Filter Where Neg Not Escape Tuple"""
ALLOWED = frozenset(_NODES.split())
MAX_SQL = 2_000  # characters of an expression


@dataclass(frozen=True)
class Metric:
    """A metric that fits its schema. `filters`: its own condition and its table's.

    `date`: a column of `date_table`, or "". The table is the metric's own, or one that joins lead to.
    """

    name: str
    entry: MetricEntry
    table: Table
    expression: exp.Expr
    filters: tuple[exp.Expr, ...]
    date: str
    date_table: str

    @property
    def aggregates(self) -> set[str]:
        """The kinds of its aggregates: "sum", "count", ..."""
        return {node.key for node in self.expression.find_all(exp.AggFunc)}

    @property
    def filtered(self) -> set[str]:
        """The columns that its filters use."""
        return {column.name for tree in self.filters for column in tree.find_all(exp.Column)}

    def __str__(self) -> str:
        """The metric in words: "revenue = sum(amount) of orders where status = 'paid'"."""
        filters = " and ".join(text for text in (self.entry.filter,) if text)
        return f"{self.name} = {self.entry.expression} of {self.table.name}" + (f" where {filters}" if filters else "")


def allowed_values(conditions: Iterable[exp.Expr], column: str) -> set[str] | None:
    """The texts that conditions such as `status IN ('paid', 'sent')` allow for a column.

    None if some condition on the column has another form.
    """
    allowed: set[str] | None = None
    for condition in conditions:
        for part in condition.flatten() if isinstance(condition, exp.And) else [condition]:
            if column not in {found.name for found in part.find_all(exp.Column)}:
                continue
            listed = part.expressions if isinstance(part, exp.In) else [part.expression]
            is_list = isinstance(part, exp.In | exp.EQ) and isinstance(part.this, exp.Column)
            if not is_list or not all(isinstance(one, exp.Literal) for one in listed):
                return None
            texts = {one.name for one in listed}
            allowed = texts if allowed is None else allowed & texts
    return allowed


def parse_metric(name: str, glossary: Glossary, schema: Schema) -> Metric:
    """A metric of a glossary. Raises Refused for SQL that is no aggregate, and for names that do not exist."""
    entry = glossary.metrics[name]
    table = known_table(schema, entry.table)
    described = glossary.entry_of(table.name)
    expression = parse_aggregate(entry.expression, table, schema.dialect)
    filters, date = [entry.filter, described.filter], entry.date or described.date
    date_table, column = known_date(table, date, schema) if date else ("", "")
    conditions = tuple(parse_condition(text, table, schema.dialect) for text in filters if text)
    return Metric(name, entry, table, expression, conditions, column, date_table)


def known_date(table: Table, date: str, schema: Schema) -> tuple[str, str]:
    """The (table, column) of a date: a column of the table, or "orders.day" of another. Raises Refused."""
    if find_column(table, date) or "." not in date:
        return table.name, known_column(table, date)
    other, _, column = date.rpartition(".")
    found = known_table(schema, other)
    return found.name, known_column(found, column)


def known_table(schema: Schema, name: str) -> Table:
    """A table by its name. Raises Refused, naming the nearest, if there is none."""
    table = find_table(schema, name)
    if table is None:
        raise Refused(f"there is no table {name!r}{near(name, [known.name for known in schema.tables])}")
    return table


def known_column(table: Table, name: str) -> str:
    """A column's name as the schema spells it. Raises Refused if there is none (with the nearest), or it is private."""
    column = find_column(table, name)
    if column in {known.name for known in table.columns if known.private}:
        raise Refused(f"{table.name}.{column} is private, so no query may read it")
    if column is None:
        names = [known.name for known in table.columns if not known.private]
        raise Refused(f"the table {table.name} has no column {name!r}{near(name, names)}")
    return column


def near(name: str, names: list[str]) -> str:
    """The end of a message: the nearest of the names that exist."""
    found = nearest(name, names)
    return f"; the nearest is {found[0]!r}" if found else f"; there is {', '.join(names[:12])}" if names else ""


def parse_aggregate(text: str, table: Table, dialect: Dialect) -> exp.Expr:
    """An expression of aggregates over a table's columns. Raises Refused for anything else."""
    tree = _parse(text, table, dialect)
    if not tree.find(exp.AggFunc):
        raise Refused(f"{text!r} is no aggregate: write one such as sum(amount), count(*) or avg(price)")
    for node in tree.find_all(exp.Column, exp.Star):
        if node.find_ancestor(exp.AggFunc, exp.Filter) is None:
            raise Refused(f"{node.sql()} stands outside of an aggregate in {text!r}")
    if any(node.find_ancestor(exp.AggFunc) for node in tree.find_all(exp.AggFunc)):
        raise Refused(f"{text!r} has an aggregate inside of an aggregate")
    return tree


def parse_condition(text: str, table: Table, dialect: Dialect) -> exp.Expr:
    """A condition on the columns of one row. Raises Refused for anything else."""
    tree = _parse(text, table, dialect)
    if tree.find(exp.AggFunc):
        raise Refused(f"{text!r} has an aggregate; a filter is about one row")
    if not tree.find(exp.Column):
        raise Refused(f"{text!r} is about no column of {table.name}")
    return tree


def _parse(text: str, table: Table, dialect: Dialect) -> exp.Expr:
    """An expression whose columns are those of the table, spelt as in the schema, with `table`'s bare name in front."""
    if len(text) > MAX_SQL:
        raise Refused(f"an expression of {len(text):,} characters; it may have {MAX_SQL:,}")
    try:
        select = parse(f"SELECT ({text})", dialect)
    except Refused as error:
        raise Refused(f"{text!r} {error}") from None
    parts = [part for part, value in select.args.items() if value and part != "kind"]
    if not isinstance(select, exp.Select) or parts != ["expressions"] or len(select.expressions) != 1:
        raise Refused(f"{text!r} is more than one expression")
    tree = select.expressions[0]
    for node in tree.walk():
        _check_node(node, text)
    for column in list(tree.find_all(exp.Column)):
        if column.table and column.table.lower() not in (table.name.lower(), table.bare_name.lower()):
            raise Refused(f"{column.sql()} in {text!r} is no column of {table.name}, whose columns alone may be used")
        column.replace(column_node(table, known_column(table, column.name), dialect))
    return tree.this if isinstance(tree, exp.Paren) else tree


def _check_node(node: exp.Expr, text: str) -> None:
    kind = type(node).__name__
    if isinstance(node, exp.In) and (node.args.get("query") or node.args.get("unnest")):
        raise Refused(f"{text!r} has a subquery")
    if isinstance(node, exp.Func):
        names = {node.name.lower()} if isinstance(node, exp.Anonymous) else {n.lower() for n in type(node).sql_names()}
        if not names & FUNCTIONS:
            raise Refused(f"the function {sorted(names)[0]} in {text!r} is not on the list of functions")
    elif not isinstance(node, exp.Binary) and kind not in ALLOWED:
        raise Refused(f"{kind.upper()} is not allowed in {text!r}")


def column_node(table: Table, column: str, dialect: Dialect) -> exp.Column:
    """A column with its table's bare name in front, quoted where the dialect needs it."""
    return exp.Column(this=identifier(column, dialect), table=identifier(table.bare_name, dialect))


def identifier(name: str, dialect: Dialect) -> exp.Identifier:
    """A name in the tree, quoted where the dialect needs it."""
    return exp.to_identifier(name, quoted=quote_name(name, dialect) != name)
