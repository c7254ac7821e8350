"""The grammar's rules for expressions: operators, conditions, CASE, casts, dates, aggregates and windows."""

from chaku.sql.ask.grammar_functions import calls
from chaku.sql.schema.definition import Dialect


def expressions(dialect: Dialect, *, made: bool, aggregates: bool) -> str:
    """The rules of one kind of value: value, value_a, value_w or value_wa.

    `made`: the value may contain names that the query makes. `aggregates`: the value may contain aggregates, but no
    aggregate inside another. A condition is a value like any other: it may be an argument or a result.
    """
    plain = "_w" if made else ""
    x = {"": "_a", "_w": "_wa"}[plain] if aggregates else plain
    query = f"query{plain}"
    like = {"sqlite": "LIKE | GLOB", "mysql": "LIKE | REGEXP"}.get(dialect, "LIKE | ILIKE")
    compared = f"sum{x}" if dialect == "sqlite" else f"(sum{x} | ALL_OPEN {query} CLOSE)"
    added = f"(product{x} | INTERVAL SPACE NUMBER UNIT)" if dialect == "mysql" else f"product{x}"
    suffix = {"sqlite": "COLLATE?", "mysql": ""}.get(dialect, "(CAST_SIGN TYPE)*")
    atoms = [
        "NUMBER | STRING | NULL | BOOLEAN | BARE | QUALIFIED",
        *(["NAME | NAME_QUALIFIED"] if made else []),
        f"OPEN value{x} CLOSE | OPEN {query} CLOSE",
        f"CASE (value{x} WHEN | FIRST_WHEN) value{x} THEN value{x} (WHEN value{x} THEN value{x})* (ELSE value{x})? END",
        f"CAST CALL value{x} AS TYPE CLOSE",
        *_dates(dialect, x),
        *calls(dialect, f"value{x}"),
        *(_aggregates(dialect, x, f"value{plain}") if aggregates else []),
    ]
    return f"""
value{x}: conjunction{x} (OR conjunction{x})*
conjunction{x}: negation{x} (AND negation{x})*
negation{x}: NOT? predicate{x}
predicate{x}: sum{x} comparison{x}? | EXISTS {query} CLOSE | OPEN sum{x} (COMMA sum{x})+ CLOSE IN {query} CLOSE
comparison{x}: COMPARE {compared} | IS_NULL | BETWEEN sum{x} AND sum{x}
    | IN ({query} | sum{x} (COMMA sum{x})*) CLOSE | ({like}) sum{x} (ESCAPE STRING)?
sum{x}: MINUS? product{x} (ADD {added})*
product{x}: primary{x} (MULTIPLY MINUS? primary{x})*
primary{x}: atom{x} {suffix}
atom{x}: {f"{chr(10)}    | ".join(atoms)}
""" + (_windows(dialect, x, f"value{plain}") if aggregates else "")


def _dates(dialect: Dialect, x: str) -> list[str]:
    """Expressions that have their own syntax for dates."""
    if dialect == "sqlite":
        return ["NOW"]
    common = ["NOW", "DATE SPACE STRING", f"EXTRACT CALL FIELD FROM value{x} CLOSE"]
    own = {
        "duckdb": ["INTERVAL SPACE (STRING UNIT? | NUMBER UNIT)"],
        "postgres": ["INTERVAL SPACE STRING UNIT?"],
        "mysql": [
            f"DATE_ADD CALL value{x} COMMA INTERVAL SPACE sum{x} UNIT CLOSE",
            f"DATE_DIFF CALL FIELD COMMA value{x} COMMA value{x} CLOSE",
        ],
    }
    return [*common, *own[dialect]]


def _aggregates(dialect: Dialect, x: str, plain: str) -> list[str]:
    """Calls of aggregates and window functions. Only a window's argument may be an aggregate, and only a single one."""
    over = f"over{x}? " if dialect == "mysql" else f"(FILTER {plain} CLOSE)? over{x}?"
    order = f"(ORDER_BY ordered_in{x})?"
    one = (
        f"(COUNT CALL ALL | (AGGREGATE | COUNT) CALL (DISTINCT {plain} | DISTINCT_OPEN {plain} CLOSE | {plain})) CLOSE"
    )
    found = [
        f"{one} {over}",
        f"AGGREGATE CALL {one} CLOSE over{x}",
        f"RANKING CALL CLOSE over{x} | NTILE CALL NUMBER CLOSE over{x} | EDGE CALL {plain} CLOSE over{x}",
        f"NEIGHBOUR CALL {plain} (COMMA NUMBER (COMMA {plain})?)? CLOSE over{x}",
    ]
    if dialect == "sqlite":
        return [*found, f"TEXT_AGGREGATE CALL (DISTINCT? {plain} | {plain} COMMA STRING) CLOSE {over}"]
    if dialect == "mysql":
        texts = f"TEXT_AGGREGATE CALL DISTINCT? {plain} (COMMA {plain})* {order} (SEPARATOR STRING)? CLOSE"
        return [*found, texts, f"COUNT CALL DISTINCT {plain} (COMMA {plain})+ CLOSE"]
    ordered = f"CLOSE WITHIN_GROUP ordered_in{x} CLOSE"
    return [
        *found,
        f"TEXT_AGGREGATE CALL DISTINCT? {plain} COMMA STRING {order} CLOSE {over}",
        f"LIST_AGGREGATE CALL DISTINCT? {plain} {order} CLOSE {over}",
        f"PAIR_AGGREGATE CALL {plain} COMMA {plain} CLOSE {over}",
        f"ORDERED_AGGREGATE CALL NUMBER {ordered}",
        *([f"MODE CALL {ordered}"] if dialect == "postgres" else []),
    ]


def _windows(dialect: Dialect, x: str, plain: str) -> str:
    nulls = "" if dialect == "mysql" else "NULLS?"
    return f"""
over{x}: OVER (PARTITION_BY value{x} (COMMA value{x})* (ORDER_BY windowed{x})? | FIRST_ORDER_BY windowed{x})? CLOSE
windowed{x}: value{x} DIRECTION? {nulls} (COMMA value{x} DIRECTION? {nulls})* FRAME?
ordered_in{x}: {plain} DIRECTION?
"""
