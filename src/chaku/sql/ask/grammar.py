"""Makes a grammar from a schema: it allows one SELECT, with tables and columns that exist.

A context-free grammar cannot know which tables a FROM will name. So a bare column, or a column behind an alias, may be
any column of the schema; a column behind a table's name must be a column of this table. A query may invent names for
results, subqueries and common table expressions. The grammar allows invented names only after the query can have made
some: behind WITH; in GROUP BY, HAVING and ORDER BY once a result has a name; behind a FROM with a subquery or with a
long alias. In front of the FROM, it allows only short aliases and typical names of results, so that the model cannot
invent a column there. `check` finds the errors of scope that remain.
"""

from chaku.sql.ask.grammar_expressions import expressions
from chaku.sql.ask.grammar_functions import functions
from chaku.sql.ask.grammar_names import names
from chaku.sql.ask.grammar_words import KEYWORDS, words
from chaku.sql.engines.engine import Forms
from chaku.sql.engines.known import ENGINES
from chaku.sql.schema.definition import Schema


def sql_grammar(schema: Schema) -> str:
    """The grammar of queries on a schema, in Lark's syntax. The case of names counts only where the dialect minds it.

    Raises ValueError for a schema without columns.
    """
    if not any(table.columns for table in schema.tables):
        raise ValueError("a schema without columns has no queries")
    dialect, forms = schema.dialect, ENGINES[schema.dialect].forms
    parts = [_start(forms), _queries(forms), _queries_behind_with(forms)]
    for made in (False, True):
        for aggregates in (False, True):
            parts.append(expressions(dialect, made=made, aggregates=aggregates))
    return "\n".join([*parts, words(dialect), functions(dialect), names(schema)])


# A suffix of a rule's name tells what its values may contain: w: names that the query makes; a: aggregates.
# SPACE at the end: Llama 2's chat template ends a reply with a space.
def _start(forms: Forms) -> str:
    recursive = {**KEYWORDS, **forms.keywords}["RECURSIVE"]
    first = "NAME columns? AS_OPEN query CLOSE | RECURSIVE cte_w" if recursive else "cte_w"
    top = " TOP?" if forms.top else ""
    return f"""
start: SPACE? (query | with) (END_OF_QUERY | SPACE)?
with: WITH ({first}) (COMMA cte_w)* SPACE query_w
cte_w: NAME columns? AS_OPEN query_w CLOSE
columns: CALL NAME (COMMA NAME)* CLOSE
begin: SELECT DISTINCT?{top}
"""


def _queries(forms: Forms) -> str:
    """The rules of a query without WITH: `named` names its results, `derived` reads subqueries or long aliases."""
    parentheses = "| OPEN query CLOSE" if forms.parentheses else ""
    unnamed, name = _unnamed(forms), _alias(forms, "NAME")
    having = "value_wa" if forms.having_names else "value_a"
    by = "value_w" if forms.group_by_names else "value"
    nulls = "NULLS?" if forms.nulls else ""
    qualify, qualify_w = _qualify(forms, "value_a"), _qualify(forms, "value_wa")
    on = "(ON value | using)?" if forms.using else "(ON value)?"
    on_w = "(ON value_w | using)?" if forms.using else "(ON value_w)?"
    long_alias = "AS LONG_ALIAS" if forms.table_as else "SPACE_LONG_ALIAS"
    return f"""
query: plain (SET_OPERATOR plain)* (ORDER_BY ordered (COMMA ordered)*)? limit?
    | (plain SET_OPERATOR)* (named | derived) (SET_OPERATOR (plain | named | derived))* order_w? limit?
plain: items from? {parentheses}
named: named_items (FROM source joined* where? named_group?{qualify_w})?
derived: derived_items FROM (made | source joined* joined_made) joined_derived* where_w? group_w?{qualify_w}

items: (begin item | SELECT DISTINCT_OPEN value_a CLOSE) (COMMA item)*
item: value_a | STAR
named_items: first_named (COMMA named_item)*
first_named: (items COMMA value_a | begin value_a | SELECT DISTINCT_OPEN value_a CLOSE) AS RESULT_NAME
named_item: value_a (AS RESULT_NAME)? | STAR
derived_items: begin derived_item (COMMA derived_item)*
derived_item: named_item | (LIKELY_RESULT | (AGGREGATE | COUNT) CALL DISTINCT? LIKELY_RESULT CLOSE) (AS RESULT_NAME)?

from: FROM source joined* where? group?{qualify}
source: TABLE {_alias(forms, "ALIAS")}?
made: TABLE {long_alias} | OPEN query CLOSE {name}{unnamed}
joined: JOIN source {on} | COMMA source
joined_made: JOIN made {on_w} | COMMA made
joined_derived: JOIN source_derived {on_w.replace("using", "using_w")} | COMMA source_derived
source_derived: TABLE {name}? | OPEN query CLOSE {name}{unnamed}
using: USING BARE (COMMA BARE)* CLOSE
where: WHERE value
group: GROUP_BY value (COMMA value)* (HAVING value_a)?
named_group: GROUP_BY {by} (COMMA {by})* (HAVING {having})?
ordered: value_a DIRECTION? {nulls}
"""


def _queries_behind_with(forms: Forms) -> str:
    parentheses = "| OPEN query_w CLOSE" if forms.parentheses else ""
    unnamed, name = _unnamed(forms), _alias(forms, "NAME")
    nulls = "NULLS?" if forms.nulls else ""
    on_w = "(ON value_w | using_w)?" if forms.using else "(ON value_w)?"
    return f"""
query_w: select_w (SET_OPERATOR select_w)* order_w? limit?
order_w: ORDER_BY ordered_w (COMMA ordered_w)*
select_w: (begin item_w | SELECT DISTINCT_OPEN value_wa CLOSE (AS RESULT_NAME)?) (COMMA item_w)* from_w? {parentheses}
item_w: value_wa (AS RESULT_NAME)? | STAR | NAME_STAR
from_w: FROM source_w joined_w* where_w? group_w?{_qualify(forms, "value_wa")}
source_w: (TABLE | NAME) {name}? | OPEN query_w CLOSE {name}{unnamed}
joined_w: JOIN source_w {on_w} | COMMA source_w
using_w: USING (BARE | NAME) (COMMA (BARE | NAME))* CLOSE
where_w: WHERE value_w
group_w: GROUP_BY value_w (COMMA value_w)* (HAVING value_wa)?
ordered_w: (value_wa | QUOTED_NAME) DIRECTION? {nulls}
"""


def _alias(forms: Forms, terminal: str) -> str:
    """An alias of a table."""
    return f"(AS {terminal} | SPACE_{terminal})" if forms.table_as else f"(SPACE_{terminal})"


def _qualify(forms: Forms, value: str) -> str:
    """QUALIFY: a condition on the results of windows."""
    return f" (QUALIFY {value})?" if forms.qualify else ""


def _unnamed(forms: Forms) -> str:
    """ "?" if the alias of a subquery in FROM is optional; PostgreSQL before 16 requires the alias."""
    return "" if forms.needs_alias else "?"
