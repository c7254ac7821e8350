"""The grammar's rules for expressions: operators, conditions, CASE, casts, dates, aggregates and windows."""

from chaku.sql.ask.grammar_functions import calls
from chaku.sql.ask.grammar_words import KEYWORDS
from chaku.sql.engines.engine import Forms
from chaku.sql.engines.known import ENGINES
from chaku.sql.schema.definition import Dialect


def expressions(dialect: Dialect, *, made: bool, aggregates: bool) -> str:
    """The rules of one kind of value: value, value_a, value_w or value_wa.

    `made`: the value may contain names that the query makes. `aggregates`: the value may contain aggregates, but no
    aggregate inside another. A condition is a value like any other: it may be an argument or a result.
    """
    plain = "_w" if made else ""
    x = {"": "_a", "_w": "_wa"}[plain] if aggregates else plain
    query = f"query{plain}"
    forms = ENGINES[dialect].forms
    has = {**KEYWORDS, **forms.keywords}
    compared = f"(sum{x} | ALL_OPEN {query} CLOSE)" if has.get("ALL_OPEN") else f"sum{x}"
    tuples = f"| OPEN sum{x} (COMMA sum{x})+ CLOSE IN {query} CLOSE" if forms.tuples else ""
    atoms = [
        f"NUMBER | STRING | NULL | BARE | QUALIFIED{' | BOOLEAN' if has['BOOLEAN'] else ''}",
        *(["NAME | NAME_QUALIFIED"] if made else []),
        f"OPEN value{x} CLOSE | OPEN {query} CLOSE",
        f"CASE (value{x} WHEN | FIRST_WHEN) value{x} THEN value{x} (WHEN value{x} THEN value{x})* (ELSE value{x})? END",
        f"CAST CALL value{x} AS TYPE CLOSE",
        *(date.format(x=x) for date in forms.dates),
        *calls(dialect, f"value{x}"),
        *(_aggregates(forms, x, f"value{plain}") if aggregates else []),
    ]
    return f"""
value{x}: conjunction{x} (OR conjunction{x})*
conjunction{x}: negation{x} (AND negation{x})*
negation{x}: NOT? predicate{x}
predicate{x}: sum{x} comparison{x}? | EXISTS {query} CLOSE {tuples}
comparison{x}: COMPARE {compared} | IS_NULL | BETWEEN sum{x} AND sum{x}
    | IN ({query} | sum{x} (COMMA sum{x})*) CLOSE | ({forms.like}) sum{x} (ESCAPE STRING)?
sum{x}: MINUS? product{x} (ADD {forms.added.format(x=x)})*
product{x}: primary{x} (MULTIPLY MINUS? primary{x})*
primary{x}: atom{x} {forms.suffix}
atom{x}: {f"{chr(10)}    | ".join(atoms)}
""" + (_windows(forms, x, f"value{plain}") if aggregates else "")


def _aggregates(forms: Forms, x: str, plain: str) -> list[str]:
    """Calls of aggregates and window functions. Only a window's argument may be an aggregate, and only a single one."""
    over = f"(FILTER {plain} CLOSE)? over{x}?" if forms.filters else f"over{x}? "
    order = f"(ORDER_BY ordered_in{x})?"
    one = (
        f"(COUNT CALL ALL | (AGGREGATE | COUNT) CALL (DISTINCT {plain} | DISTINCT_OPEN {plain} CLOSE | {plain})) CLOSE"
    )
    return [
        f"{one} {over}",
        f"AGGREGATE CALL {one} CLOSE over{x}",
        f"RANKING CALL CLOSE over{x} | NTILE CALL NUMBER CLOSE over{x} | EDGE CALL {plain} CLOSE over{x}",
        f"NEIGHBOUR CALL {plain} (COMMA NUMBER (COMMA {plain})?)? CLOSE over{x}",
        *(call.format(x=x, plain=plain, over=over, order=order) for call in forms.aggregate_calls),
    ]


def _windows(forms: Forms, x: str, plain: str) -> str:
    nulls = "NULLS?" if forms.nulls else ""
    return f"""
over{x}: OVER (PARTITION_BY value{x} (COMMA value{x})* (ORDER_BY windowed{x})? | FIRST_ORDER_BY windowed{x})? CLOSE
windowed{x}: value{x} DIRECTION? {nulls} (COMMA value{x} DIRECTION? {nulls})* FRAME?
ordered_in{x}: {plain} DIRECTION?
"""
