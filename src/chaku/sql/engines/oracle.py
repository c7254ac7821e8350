"""Oracle: see https://docs.oracle.com/en/database/oracle/oracle-database/19/sqlrf. Not run against a real server."""

from chaku.sql.engines.engine import Catalogue, Engine, Forms
from chaku.sql.engines.standard import DATES, INTERVALS, SIZED, UNITS

FORMS = Forms(
    functions={
        "e": "abs lower upper length sign ceil floor sqrt exp ln initcap last_day",
        "ee?": "trim ltrim rtrim round trunc",
        "ee": "nullif nvl mod power log add_months months_between concat",
        "eee": "replace nvl2 translate",
        "eee?": "substr instr lpad rpad regexp_replace regexp_substr regexp_like",
        "eee*": "coalesce greatest least decode",
        "es?": "to_char to_date to_number to_timestamp",
    },
    aggregates={
        "AGGREGATE": "sum avg min max stddev stddev_pop stddev_samp variance var_pop var_samp median",
        "TEXT_AGGREGATE": "listagg",
        "PAIR_AGGREGATE": "corr covar_pop covar_samp",
        "ORDERED_AGGREGATE": "percentile_cont percentile_disc",
    },
    aggregate_calls=(
        "TEXT_AGGREGATE CALL DISTINCT? {plain} (COMMA STRING)? CLOSE WITHIN_GROUP ordered_in{x} CLOSE over{x}?",
        "PAIR_AGGREGATE CALL {plain} COMMA {plain} CLOSE over{x}?",
        "ORDERED_AGGREGATE CALL NUMBER CLOSE WITHIN_GROUP ordered_in{x} CLOSE over{x}?",
    ),
    types=f"integer|int|smallint|float|real|double precision|number{SIZED}|numeric{SIZED}|decimal{SIZED}"
    f"|varchar2{SIZED}|char|date|timestamp",
    keywords={
        **INTERVALS,
        "FIELD": "year|month|day|hour|minute|second",
        "MULTIPLY": "-(\\*|\\/)-",
        "NOW": "current_date|current_timestamp|sysdate|systimestamp",
        "UNIT": f"+({UNITS})",
        "SET_OPERATOR": "+(union(+all)?|intersect|minus)+",
        "ALL_OPEN": "(all|any|some)-\\(-",
        "WITHIN_GROUP": "-within+group-\\(-order+by+",
        "IS_NULL": "+is+(not+)?null",
        "ROWS": "+rows",
        "FETCH": "+fetch+(first|next)+",
        "ROWS_ONLY": "+rows+only",
        "BOOLEAN": "",
        "LIMIT": "",
        "RECURSIVE": "",
    },
    dates=(*DATES, "INTERVAL SPACE STRING UNIT"),
    limit="(OFFSET INTEGER ROWS)? FETCH INTEGER ROWS_ONLY",
    no_names="rownum rowid sysdate systimestamp",
    filters=False,
    needs_alias=False,
    table_as=False,
    group_by_names=False,
    having_names=False,
)
# https://docs.oracle.com/en/database/oracle/oracle-database/19/sqlrf/Oracle-SQL-Reserved-Words.html
RESERVED = """
access add all alter and any as asc audit between by case cast char check cluster column comment compress connect
create cross current date decimal default delete desc distinct drop else exclusive exists file float for from full
grant group having identified immediate in increment index initial inner insert integer intersect into is join left
level like lock long maxextents minus mlslabel mode modify natural noaudit nocompress not nowait null number of
offline on online option or order pctfree prior privileges public raw rename resource revoke right row rowid rownum
rows select session set share size smallint start successful synonym sysdate table then to trigger uid union unique
update user using validate values varchar varchar2 view when whenever where with
"""
# Functions that may be called besides those of `execute.functions`.
FUNCTIONS = """
add_months date_str_to_date decode decode_case months_between sysdate systimestamp
"""

_OWNERS = "(SELECT username FROM all_users WHERE oracle_maintained = 'N')"
CATALOGUE = Catalogue(
    columns=f"""
SELECT c.owner, c.table_name, c.column_name, c.data_type, CASE c.nullable WHEN 'N' THEN 1 ELSE 0 END,
    m.comments, t.comments
FROM all_tab_columns c
    LEFT JOIN all_col_comments m
        ON m.owner = c.owner AND m.table_name = c.table_name AND m.column_name = c.column_name
    LEFT JOIN all_tab_comments t ON t.owner = c.owner AND t.table_name = c.table_name
WHERE c.owner IN {_OWNERS}
ORDER BY c.owner, c.table_name, c.column_id""",
    keys=f"""
SELECT k.owner, k.table_name, k.constraint_name, CASE k.constraint_type WHEN 'P' THEN 1 ELSE 0 END, c.column_name,
    r.owner, r.table_name, r.column_name
FROM all_constraints k
    JOIN all_cons_columns c ON c.owner = k.owner AND c.constraint_name = k.constraint_name
    LEFT JOIN all_cons_columns r
        ON r.owner = k.r_owner AND r.constraint_name = k.r_constraint_name AND r.position = c.position
WHERE k.constraint_type IN ('P', 'R') AND k.owner IN {_OWNERS}
ORDER BY k.owner, k.table_name, k.constraint_name, c.position""",
    search_path="SELECT SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA') FROM dual",
)
ORACLE = Engine(
    dialect="oracle",
    title="Oracle",
    schemes=("oracle",),
    forms=FORMS,
    reserved=frozenset(RESERVED.split()),
    catalogue=CATALOGUE,
    driver="oracle+oracledb",
    modules=("sqlalchemy", "oracledb"),
    extra="oracle",
    attributes={"call_timeout": "{milliseconds}"},
    session=("SET TRANSACTION READ ONLY",),
    grace=15,
    strict_dates=True,
    fold="upper",
    exact_tables=True,
    exact_columns=True,
    first_rows="{select} FETCH FIRST {count} ROWS ONLY",
    functions=frozenset(FUNCTIONS.split()),
    system_columns=("rownum", "ROWNUM", "rowid", "ROWID"),
    own_schemas=frozenset({"sys", "system", "xdb", "mdsys", "ctxsys", "outln"}),
    own_tables=("v$", "gv$", "dba_"),
    dots_call=True,
)
