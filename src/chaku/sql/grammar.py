"""A grammar made from a schema: one SELECT, and only tables and columns that exist.

A context-free grammar cannot know which tables a FROM will name, so a bare column may be any of the schema's; one
behind a table's name is that table's own, and one behind an alias any again. Names that a query makes (aliases, common
table expressions) are taken from a closed set, so that no invented column hides among them. What is left, scopes that
do not fit, `check` finds.
"""

import json
import re

from chaku.sql.schema import Dialect, Schema, Table, quote_name, quote_table

# Aliases of tables (T1, t2, c, oi), and names of results: `total`, `avg_price`, `num_orders`, ...
TABLE_ALIAS = r"[Tt][1-9][0-9]?|[a-z][a-z]?[1-9]?"
RESULT_WORDS = "num total sum count avg average min max share rate ratio rank row first last previous next result value"
SHORT_KEYWORDS = "as by do if in is no of on or to"  # what an alias may not be
LONGEST_STRING = 120  # characters of a literal
LONGEST_SPACE = 12  # characters between two words

# A terminal is as long as it can be, and never shorter for what follows: one must not be the beginning of another with
# more words behind it. Keywords with the white space that belongs to them, + where there must be some and - where there
# may be: words never run into each other, and nobody writes blanks for ever.
KEYWORDS = {
    "SELECT": "select+", "DISTINCT": "distinct+", "FROM": "+from+", "WHERE": "+where+", "HAVING": "+having+",
    "GROUP_BY": "+group+by+", "ORDER_BY": "+order+by+", "LIMIT": "+limit+", "OFFSET": "+offset+", "AS": "+as+",
    "DIRECTION": "+(asc|desc)", "NULLS": "+nulls+(first|last)", "SET_OPERATOR": "+(union(+all)?|intersect|except)+",
    "JOIN": "+((inner|left(+outer)?|cross)+)?join+",
    "ON": "+on+", "WITH": "with+", "AND": "+and+", "OR": "+or+",
    "NOT": "not+", "EXISTS": "exists-\\(-", "IS_NULL": "+is+(not+)?null", "BETWEEN": "+(not+)?between+",
    "IN": "+(not+)?in-\\(-", "LIKE": "+(not+)?like+", "CASE": "case", "WHEN": "+when+", "THEN": "+then+",
    "ELSE": "+else+", "END": "+end", "NULL": "null", "DATE": "date+", "OVER": "-over-\\(-",
    "PARTITION_BY": "partition+by+", "FIRST_ORDER_BY": "order+by+", "COMPARE": "-(=|<>|!=|<|<=|>|>=)-",
    "ADD": "-(\\+|\\-|\\|\\|)-", "MULTIPLY": "-(\\*|\\/|%)-", "COMMA": "-,-", "OPEN": "\\(-", "CLOSE": "-\\)",
    "AGGREGATE": "(sum|avg|min|max|count)-\\(-", "COUNT_ALL": "count-\\(-\\*-\\)", "SPACE": "+",
    "RANKING": "(row_number|rank|dense_rank)-\\(-\\)", "NEIGHBOUR": "(lag|lead)-\\(-", "END_OF_QUERY": "-;-",
    "CAST": "cast-\\(-",
}  # fmt: skip

# Functions by the arguments that they take: any number (*), at least two (+), or e (an expression), s (a string),
# n (a number), c (a condition), in their order, ? where it may be left out.
FUNCTIONS = {
    "": "abs:e lower:e upper:e length:e trim:e round:en? substr:een? coalesce:+ nullif:ee replace:eee",
    "sqlite": "strftime:ses? date:es? julianday:e instr:ee iif:cee",
    "duckdb": "strftime:es date_trunc:se year:e month:e day:e date_diff:see",
    "postgres": "to_char:es date_trunc:se date_part:se age:ee",
    "mysql": "date_format:es year:e month:e day:e datediff:ee if:cee concat:+",
}
CAST_TYPES: dict[Dialect, str] = {
    "sqlite": "integer real text numeric",
    "duckdb": "integer bigint double varchar date timestamp",
    "postgres": "integer bigint numeric float text date timestamp",
    "mysql": "signed decimal char date datetime",
}


def sql_grammar(schema: Schema) -> str:
    """The grammar of queries on a schema, in Lark. Keywords in either case; names as the dialect folds them."""
    if not any(table.columns for table in schema.tables):
        raise ValueError("a schema without columns has no queries")
    # Llama 2's chat template ends a reply with a space.
    rules = ["start: SPACE? (query | with) (END_OF_QUERY | SPACE)?", 'with: WITH cte (COMMA cte)* SPACE query_w',
             "cte: NAME AS OPEN query_w CLOSE"]  # fmt: skip
    for w, tables in (("", "TABLE"), ("_w", "TABLE | NAME")):  # inside a WITH, its names are tables and columns too
        rules += [
            _query(schema.dialect, w, tables),
            _expressions(schema.dialect, w, ""),
            _expressions(schema.dialect, w, "_a"),
        ]
    return "\n".join([*rules, *(f"{name}: {_keyword(text)}" for name, text in KEYWORDS.items()), _names(schema)])


def _keyword(text: str) -> str:
    """A keyword's regular expression. An escaped sign stands for itself."""
    space = r"[ \t\n]"
    marks = {"+": f"{space}{{1,{LONGEST_SPACE}}}", "-": f"{space}{{0,{LONGEST_SPACE}}}"}
    return "/" + re.sub(r"\\.|[+-]", lambda found: marks.get(found[0], found[0]), text) + "/i"


def _query(dialect: Dialect, w: str, tables: str) -> str:
    unnamed = "?" if dialect in ("sqlite", "duckdb") else ""  # the others want an alias for every subquery
    return f"""
query{w}: select{w} (SET_OPERATOR select{w})* (ORDER_BY ordered{w} (COMMA ordered{w})*)? limit?
select{w}: SELECT DISTINCT? item{w} (COMMA item{w})* (FROM source{w} joined{w}* where{w}? group{w}?)?
item{w}: sum_a{w} (AS NAME)? | "*" | ALIAS ".*"
source{w}: ({tables}) (AS ALIAS | SPACE_ALIAS)? | OPEN query{w} CLOSE (AS (ALIAS | NAME) | SPACE_ALIAS){unnamed}
joined{w}: JOIN source{w} (ON condition{w})? | COMMA source{w}
where{w}: WHERE condition{w}
group{w}: GROUP_BY sum{w} (COMMA sum{w})* (HAVING condition_a{w})?
ordered{w}: (sum_a{w} | NAME) DIRECTION? NULLS?
"""


def _expressions(dialect: Dialect, w: str, a: str) -> str:
    """Rules of expressions: `w` inside a WITH, `a` where aggregates may stand; an aggregate's arguments hold none."""
    e, condition, query, plain = f"sum{a}{w}", f"condition{a}{w}", f"query{w}", f"sum{w}"
    named = "" if not w else " | NAME"  # a common table expression's results; a subquery's stand behind its alias
    functions = " | ".join(_function(each, e, condition) for key in ("", dialect) for each in FUNCTIONS[key].split())
    aggregates = f"""
    | COUNT_ALL over{w}? | AGGREGATE DISTINCT? {plain} CLOSE over{w}?
    | RANKING over{w} | NEIGHBOUR {plain} (COMMA NUMBER)? CLOSE over{w}
over{w}: OVER (PARTITION_BY {e} (COMMA {e})* (ORDER_BY windowed{w})? | FIRST_ORDER_BY windowed{w})? CLOSE
windowed{w}: {e} DIRECTION? (COMMA {e} DIRECTION?)*"""
    date = "" if dialect == "sqlite" else "| DATE STRING"
    return f"""
{condition}: all{a}{w} (OR all{a}{w})*
all{a}{w}: test{a}{w} (AND test{a}{w})*
test{a}{w}: NOT? predicate{a}{w} | NOT? OPEN {condition} CLOSE
predicate{a}{w}: {e} (COMPARE {e} | IS_NULL | BETWEEN {e} AND {e} | IN ({query} | {e} (COMMA {e})*) CLOSE | LIKE STRING)
    | EXISTS {query} CLOSE
{e}: product{a}{w} (ADD product{a}{w})*
product{a}{w}: primary{a}{w} (MULTIPLY primary{a}{w})*
primary{a}{w}: "-"? NUMBER | STRING | NULL | BARE | QUALIFIED{named} | OPEN {e} CLOSE | OPEN {query} CLOSE
    | CASE (WHEN {condition} THEN {e})+ (ELSE {e})? END | CAST {e} AS CAST_TYPE CLOSE {date}
    | {functions} {aggregates if a else ""}
"""


def _function(text: str, expression: str, condition: str) -> str:
    name, arguments = text.split(":")
    rules = {"e": expression, "s": "STRING", "n": "NUMBER", "c": condition}
    if arguments == "+":
        inside = f"{expression} (COMMA {expression})+"
    else:
        required, optional = re.fullmatch(r"(\w*?)(?:(\w)\?)?", arguments).groups()  # type: ignore[union-attr]
        inside = " COMMA ".join(rules[each] for each in required) + (f" (COMMA {rules[optional]})?" if optional else "")
    return f'"{name}("i {inside} CLOSE'


def _names(schema: Schema) -> str:
    dialect = schema.dialect
    columns = {column.name for table in schema.tables for column in table.columns}
    tables = {table.name for table in schema.tables}
    bare = _alternatives(columns, dialect)
    own = " | ".join(
        f'({_table(table, dialect)}) "." ({_alternatives({c.name for c in table.columns}, dialect)})'
        for table in schema.tables
        if table.columns
    )
    words = "|".join(sorted({word for name in columns | tables for word in re.findall(r"[a-z]+", name.lower())}))
    results = "|".join(RESULT_WORDS.split())
    backslash = r"\\" if dialect == "mysql" else ""  # which would begin an escape there
    return f"""
limit: LIMIT NUMBER (OFFSET NUMBER)?
TABLE: {" | ".join(sorted(_table(table, dialect) for table in schema.tables))}
BARE: {bare}
QUALIFIED: {own} | ALIAS "." ({bare} | NAME)
ALIAS: /{TABLE_ALIAS}/ & ~/{"|".join(SHORT_KEYWORDS.split())}/
SPACE_ALIAS: SPACE ALIAS
NAME: /({results})(_({words or "value"})){{0,3}}/
NUMBER: /[0-9]{{1,15}}(\\.[0-9]{{1,10}})?/
STRING: /'([^'{backslash}\\x00-\\x1f]|''){{0,{LONGEST_STRING}}}'/
CAST_TYPE: /{"|".join(CAST_TYPES[dialect].split())}/i
"""


def _alternatives(names: set[str], dialect: Dialect) -> str:
    """Names as the dialect takes them: without regard to case, but in PostgreSQL where quotes keep a name as it is."""
    return " | ".join(_written(name, quote_name(name, dialect), dialect) for name in sorted(names))


def _table(table: Table, dialect: Dialect) -> str:
    return _written(table.name, quote_table(table.name, table.namespace, dialect), dialect)


def _written(name: str, text: str, dialect: Dialect) -> str:
    return json.dumps(text, ensure_ascii=False) + ("i" if dialect != "postgres" or text == name else "")
