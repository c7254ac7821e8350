"""The grammar's keywords and signs, with the white space that belongs to them."""

import re

from chaku.sql.engines.engine import Forms
from chaku.sql.engines.known import ENGINES
from chaku.sql.schema.definition import Dialect

LONGEST_STRING = 120  # characters of a literal
LONGEST_SPACE = 32  # characters between two words: nested queries are indented

# The lexer always takes the longest terminal, so no terminal may begin with another terminal and a space. Keywords
# include their white space, with + for required space and - for optional space; this keeps words apart, and limits the
# number of blanks. A word that may also name a column (count, date, interval) is a terminal without the space and the
# bracket behind it.
KEYWORDS = {
    "SELECT": "select+", "DISTINCT": "distinct+", "DISTINCT_OPEN": "distinct\\(-", "FROM": "+from+",
    "WHERE": "+where+", "HAVING": "+having+", "GROUP_BY": "+group+by+", "ORDER_BY": "+order+by+", "LIMIT": "+limit+",
    "OFFSET": "+offset+", "AS": "+as+", "DIRECTION": "+(asc|desc)",
    "SET_OPERATOR": "+(union(+all)?|intersect|except)+", "ON": "+on+", "USING": "+using-\\(-",
    "WITH": "with+", "RECURSIVE": "recursive+", "AS_OPEN": "+as-\\(-",
    "AND": "+and+", "OR": "+or+", "NOT": "not+", "EXISTS": "exists-\\(-", "IS_NULL": "+is+(not+)?(null|true|false)",
    "BETWEEN": "+(not+)?between+", "IN": "+(not+)?in-\\(-", "LIKE": "+(not+)?like+", "ESCAPE": "+escape+",
    "CASE": "case+", "FIRST_WHEN": "when+", "WHEN": "+when+", "THEN": "+then+", "ELSE": "+else+", "END": "+end",
    "NULL": "null", "BOOLEAN": "true|false", "CAST": "cast", "CALL": "-\\(-", "OPEN": "\\(-", "CLOSE": "-\\)",
    "ALL": "\\*", "COMMA": "-,-", "SPACE": "+", "END_OF_QUERY": "-;-", "MINUS": "\\-",
    "OVER": "-over-\\(-", "PARTITION_BY": "partition+by+", "FIRST_ORDER_BY": "order+by+",
    "FRAME": "+(rows|range)+(between+BOUND+and+BOUND|BOUND)".replace(
        "BOUND", "((unbounded|[0-9]{1,3})+(preceding|following)|current+row)"
    ),
    "COUNT": "count", "RANKING": "row_number|rank|dense_rank|percent_rank|cume_dist", "NTILE": "ntile",
    "COMPARE": "-(=|<>|!=|<|<=|>|>=)-", "ADD": "-(\\+|\\-|\\|\\|)-", "MULTIPLY": "-(\\*|\\/|%)-",
    "FILTER": "-filter-\\(-where+", "NULLS": "+nulls+(first|last)",
    "NEIGHBOUR": "lag|lead", "EDGE": "first_value|last_value", "NOW": "current_(date|timestamp|time)",
}  # fmt: skip


def words(dialect: Dialect) -> str:
    """The terminals for keywords, signs and literals."""
    engine = ENGINES[dialect]
    known = {**KEYWORDS, "JOIN": _joins(engine.forms), **engine.forms.keywords}
    backslash = r"\\" if engine.backslashes else ""
    return (
        "\n".join(f"{name}: {_keyword(text)}" for name, text in known.items() if text)
        + rf"""
limit: {engine.forms.limit}
INTEGER: /[0-9]{{1,9}}/
NUMBER: /([0-9]{{1,15}}(\.[0-9]{{1,10}})?|\.[0-9]{{1,10}})([eE]-?[0-9]{{1,2}})?/
STRING: /'([^'{backslash}\x00-\x1f]|''){{0,{LONGEST_STRING}}}'/
"""
    )


def _joins(forms: Forms) -> str:
    return f"+{'(natural+)?' if forms.using else ''}((inner|cross|({forms.joins})(+outer)?)+)?join+"


def _keyword(text: str) -> str:
    """A keyword's regular expression. + and - stand for space; an escaped sign stands for itself."""
    space = r"[ \t\n]"
    marks = {"+": f"{space}{{1,{LONGEST_SPACE}}}", "-": f"{space}{{0,{LONGEST_SPACE}}}"}
    found = re.sub(r"\\.|\[[^]]*\]|[+-]", lambda found: marks.get(found[0], found[0]), text)
    return f"/{found}/i"
