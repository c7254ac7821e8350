"""SQLite: see https://sqlite.org/lang.html."""

import sqlite3

from chaku.sql.engines.engine import Engine, Forms
from chaku.sql.engines.standard import SIZED

FORMS = Forms(
    functions={
        "": "random",
        "e": "abs lower upper length sign typeof hex unicode ceil ceiling floor sqrt exp ln log2 log10 trunc",
        "ee?": "trim ltrim rtrim round",
        "ee": "nullif ifnull instr mod pow power",
        "eee": "replace iif",
        "eee?": "substr substring",
        "eee*": "coalesce max min",
        "es*": "date time datetime julianday unixepoch",
        "ses*": "strftime",
        "se*": "printf format",
    },
    aggregates={"AGGREGATE": "sum avg min max total", "TEXT_AGGREGATE": "group_concat"},
    aggregate_calls=("TEXT_AGGREGATE CALL (DISTINCT? {plain} | {plain} COMMA STRING) CLOSE {over}",),
    types=f"integer|int|real|float|text|numeric{SIZED}|decimal{SIZED}|varchar{SIZED}",
    keywords={
        "COMPARE": "-(=|==|<>|!=|<|<=|>|>=)-",
        "GLOB": "+(not+)?glob+",
        "COLLATE": "+collate+(nocase|binary|rtrim)",
    },
    suffix="COLLATE?",
    like="LIKE | GLOB",
    limit="LIMIT INTEGER (OFFSET INTEGER)? | LIMIT INTEGER COMMA INTEGER",
    joins="left|right|full" if sqlite3.sqlite_version_info >= (3, 39) else "left",
    parentheses=False,
    needs_alias=False,
)
# https://sqlite.org/lang_keywords.html
RESERVED = """
add all alter and as autoincrement between case cast check collate commit constraint create cross current_date
current_time current_timestamp default deferrable delete distinct drop else escape except exists for foreign from glob
group having if in index inner insert intersect into is isnull join like limit not nothing notnull null offset on or
order outer primary raise references regexp returning rollback select set table then to transaction union unique
update using values when where window with
"""

SQLITE = Engine(
    dialect="sqlite",
    title="SQLite",
    schemes=("sqlite",),
    runner="sqlite",
    asks_first=True,
    forms=FORMS,
    reserved=frozenset(RESERVED.split()),
    backticks=True,
    lax_quotes=True,
    system_columns=("rowid", "oid", "_rowid_"),
    row_ids=frozenset({"rowid", "oid", "_rowid_"}),
    text_dates=True,
    checks_names=False,
    one_catalog=False,
    optional_functions=True,
    can_vary=True,
    tried="SQLite",
)
