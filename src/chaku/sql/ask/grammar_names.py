"""The grammar's names: names of the schema, and names that a query makes."""

import json
import re

from chaku.sql.engines.engine import Engine
from chaku.sql.engines.known import ENGINES
from chaku.sql.schema.definition import Dialect, Schema, Table, quote_table

MOST_QUOTED = 500  # columns; only smaller schemas allow needless quotes, since they enlarge the grammar
COMMON_ALIASES = "source src dest dst target origin start end first second prev previous curr current parent child sub"
LIKELY_WORDS = (
    "num number count counted cnt total sum avg average mean min minimum max maximum ratio rate percent share"
)
LIKELY_NAMES = "rank rn row_num row_number previous prev next result value frequency"

# Words that no query may use as a name, besides the reserved words of its engine. Found by running
# `SELECT w.w FROM (SELECT 1 AS w) AS w ORDER BY w` for every word w in SQLite, DuckDB and PostgreSQL 15.
RESERVED = """
add all alter analyse analyze and anti any array as asc asof asymmetric at authorization autoincrement between binary
both by case cast check collate collation column commit concurrently constraint create cross current_catalog
current_date current_role current_schema current_time current_timestamp current_user default deferrable delete desc
describe distinct do drop else end escape except exists false fetch for foreign freeze from full glob grant group
having ilike in index indexed initially inner insert intersect into is isnull join lambda lateral leading left like
limit localtime localtimestamp natural not nothing notnull null offset on only or order outer overlaps pivot
pivot_longer pivot_wider placing positional primary qualify raise recursive references returning right select semi
session_user set show similar some summarize symmetric table tablesample then to trailing transaction true union
unique unpack unpivot update user using values variadic verbose when where window with
"""


def names(schema: Schema) -> str:
    """The terminals for names."""
    dialect = schema.dialect
    columns = {column.name for table in schema.tables for column in table.columns}
    tables = {table.name for table in schema.tables}
    quoted = sum(len(table.columns) for table in schema.tables) <= MOST_QUOTED
    bare = _alternatives(columns, dialect, quoted=quoted)
    own = " | ".join(
        f'({_spellings(table.name, table.namespace, dialect, quoted=quoted)}) "."'
        f" ({_alternatives({column.name for column in table.columns}, dialect, quoted=quoted)})"
        for table in schema.tables
        if table.columns
    )
    engine = ENGINES[dialect]
    begin, end = (re.escape(quote) for quote in engine.quotes)
    reserved = "|".join(sorted({*RESERVED.split(), *engine.reserved, *engine.forms.no_names.split()}))
    likely, exact = ("|".join(words.split()) for words in (LIKELY_WORDS, LIKELY_NAMES))
    found = {word for name in columns | tables for word in re.findall(r"[a-z]+", name.lower())}
    known = "|".join(sorted(found | {word.removesuffix("s") for word in found if len(word) > 2} | {"of", "per"}))
    return f"""
TABLE: {" | ".join(_spellings(table.name, table.namespace, dialect, quoted=quoted) for table in schema.tables)}
TABLE_IN_ANY_CASE: {" | ".join(f"{json.dumps(name, ensure_ascii=False)}i" for name in sorted(tables))}
BARE: {bare}
QUALIFIED: {own} | ALIAS "." ({bare} | LIKELY_RESULT)
NAME: /([A-Za-z_]|[^\\x00-\\x7f])([A-Za-z0-9_]|[^\\x00-\\x7f])*/ & ~/{reserved}/i
QUOTED_NAME: /{begin}[A-Za-z][A-Za-z0-9 _()%#-]*{end}/
RESULT_NAME: NAME | QUOTED_NAME
STAR: "*" | (TABLE | ALIAS) ".*"
NAME_STAR: NAME ".*"
NAME_QUALIFIED: NAME "." ({bare} | NAME)
ALIAS: /{_aliases(schema.tables)}/i & ~/{reserved}/i & ~TABLE_IN_ANY_CASE
LONG_ALIAS: NAME & ~/{_aliases(schema.tables)}/i & ~TABLE_IN_ANY_CASE
LIKELY_RESULT: /(({known})_?){{0,2}}({likely})(_?({known}|{likely})){{0,3}}|{exact}/i
SPACE_ALIAS: SPACE ALIAS
SPACE_LONG_ALIAS: SPACE LONG_ALIAS
SPACE_NAME: SPACE NAME
"""


def _aliases(tables: tuple[Table, ...]) -> str:
    """Aliases that may stand in front of the FROM, such as T1, c, OI: beginnings and initials of the tables' words."""
    words = {word for table in tables for word in re.findall(r"[a-z]{3,}", table.name.lower())}
    initials = {"".join(word[0] for word in re.findall(r"[a-z]+", table.name.lower())) for table in tables}
    beginnings = [word[:3] + "".join(f"({letter}" for letter in word[3:]) + ")?" * (len(word) - 3) for word in words]
    found = sorted({*beginnings, *(initial for initial in initials if len(initial) > 2), *COMMON_ALIASES.split()})
    return f"t[1-9][0-9]?|([a-z][a-z]?|{'|'.join(found)})[1-9]?"


def _alternatives(names: set[str], dialect: Dialect, *, quoted: bool) -> str:
    return " | ".join(_spellings(name, "", dialect, quoted=quoted) for name in sorted(names))


def _spellings(name: str, namespace: str, dialect: Dialect, *, quoted: bool) -> str:
    """The spellings of a name that the dialect accepts: in any case, unless the engine distinguishes it.

    `namespace`: the schema in front of a table's name (see `Table`). `quoted`: allow needless quotes.
    """
    engine = ENGINES[dialect]
    written = {quote_table(name, namespace, dialect)}
    if quoted:
        written.add(quote_table(name, namespace, dialect, always=True))
        if engine.backticks:
            written.add(quote_table(name, namespace, "mysql", always=True))
    return " | ".join(
        json.dumps(spelling, ensure_ascii=False) + ("i" if _is_in_any_case(engine, spelling, name) else "")
        for spelling in sorted(written)
    )


def _is_in_any_case(engine: Engine, spelling: str, name: str) -> bool:
    """Whether the engine reads a spelling in any case. PostgreSQL does if it is the name, without quotes."""
    if engine.fold:
        return spelling == name
    return not engine.exact_columns
