"""Snowflake: see https://docs.snowflake.com/en/sql-reference. Not run against a real server."""

from chaku.sql.engines.engine import Catalogue, Engine, Forms
from chaku.sql.engines.standard import DATES, INTERVALS, SIZED, STATISTICS, UNITS

FORMS = Forms(
    functions={
        "": "sysdate getdate random",
        "e": "abs lower upper length len sign ceil floor sqrt exp ln reverse initcap year quarter month week day"
        " dayofweek dayofweekiso dayofyear weekofyear hour minute second dayname monthname typeof ascii",
        "ee?": "trim ltrim rtrim round trunc last_day",
        "ee": "nullif ifnull nvl zeroifnull mod pow power log left right repeat contains startswith endswith add_months"
        " months_between div0 editdistance",
        "eee": "replace split_part iff nvl2 translate date_from_parts",
        "eee?": "substr substring lpad rpad charindex position regexp_substr regexp_replace regexp_like",
        "eee*": "coalesce greatest least concat_ws decode",
        "ee*": "concat",
        "es?": "to_char to_varchar to_date to_timestamp to_number",
        "se": "date_trunc date_part",
        "uee": "dateadd datediff timestampadd timestampdiff",
    },
    aggregates={
        "AGGREGATE": f"sum avg min max {STATISTICS} median mode any_value approx_count_distinct count_if",
        "TEXT_AGGREGATE": "listagg",
        "LIST_AGGREGATE": "array_agg",
        "PAIR_AGGREGATE": "corr covar_pop covar_samp max_by min_by",
        "ORDERED_AGGREGATE": "percentile_cont percentile_disc",
    },
    aggregate_calls=(
        "TEXT_AGGREGATE CALL DISTINCT? {plain} (COMMA STRING)? CLOSE (WITHIN_GROUP ordered_in{x} CLOSE)? over{x}?",
        "LIST_AGGREGATE CALL DISTINCT? {plain} CLOSE (WITHIN_GROUP ordered_in{x} CLOSE)? over{x}?",
        "PAIR_AGGREGATE CALL {plain} COMMA {plain} CLOSE over{x}?",
        "ORDERED_AGGREGATE CALL NUMBER CLOSE WITHIN_GROUP ordered_in{x} CLOSE over{x}?",
    ),
    types=f"integer|int|bigint|smallint|double( precision)?|float|real|number{SIZED}|numeric{SIZED}|decimal{SIZED}"
    f"|varchar{SIZED}|string|text|boolean|date|time|datetime|timestamp(_ntz|_ltz|_tz)?",
    keywords={
        **INTERVALS,
        "FIELD": f"{UNITS}|dayofweek|dayofyear|dow|doy|epoch",
        "COMPARE": "-(=|<>|!=|<|<=|>|>=)-|+is+(not+)?distinct+from+",
        "ILIKE": "+(not+)?(ilike|rlike)+",
        "CAST_SIGN": "-::-",
        "QUALIFY": "+qualify+",
        "CAST": "(try_)?cast",
        "SET_OPERATOR": "+(union(+all)?|intersect|except|minus)+",
        "ALL_OPEN": "(all|any)-\\(-",
        "WITHIN_GROUP": "-within+group-\\(-order+by+",
    },
    dates=(*DATES, "INTERVAL SPACE STRING"),
    suffix="(CAST_SIGN TYPE)*",
    like="LIKE | ILIKE",
    no_names="account connection database gscluster issue organization schema view",
    filters=False,
    qualify=True,
    needs_alias=False,
)
# https://docs.snowflake.com/en/sql-reference/reserved-keywords
RESERVED = """
account all alter and any as between by case cast check column connect connection constraint copy create cross current
current_date current_time current_timestamp current_user database delete distinct drop else except exists false
following for from full grant group gscluster having ilike in increment inner insert intersect into is issue join
lateral left like localtime localtimestamp minus natural not null of on or order organization qualify regexp revoke
right rlike row rows sample schema select set some start table tablesample then to trigger true try_cast union unique
update using values view when whenever where with
"""
# Functions that may be called besides those of `execute.functions`.
FUNCTIONS = """
add_months charindex decode decode_case div0 editdistance iff months_between zeroifnull
"""

CATALOGUE = Catalogue(
    columns="""
SELECT c.table_schema, c.table_name, c.column_name, c.data_type, CASE c.is_nullable WHEN 'NO' THEN 1 ELSE 0 END,
    c.comment, t.comment
FROM information_schema.columns AS c
    JOIN information_schema.tables AS t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
WHERE c.table_schema <> 'INFORMATION_SCHEMA'
ORDER BY c.table_schema, c.table_name, c.ordinal_position""",
    # The information schema has no columns of keys.
    keys="""
SHOW PRIMARY KEYS IN DATABASE ->>
SELECT "schema_name", "table_name", "constraint_name", 1, "column_name", NULL, NULL, NULL
FROM $1 ORDER BY "schema_name", "table_name", "key_sequence"
;
SHOW IMPORTED KEYS IN DATABASE ->>
SELECT "fk_schema_name", "fk_table_name", "fk_name", 0, "fk_column_name", "pk_schema_name", "pk_table_name",
    "pk_column_name"
FROM $1 ORDER BY "fk_schema_name", "fk_table_name", "fk_name", "key_sequence"
""",
    search_path="SELECT CURRENT_SCHEMA()",
    stamps="""
SELECT table_schema, table_name, CASE WHEN table_type LIKE '%VIEW' THEN 'v' ELSE 'r' END,
    TO_CHAR(last_altered, 'YYYY-MM-DD HH24:MI:SS.FF3')
FROM information_schema.tables WHERE table_schema <> 'INFORMATION_SCHEMA'""",
)
SNOWFLAKE = Engine(
    dialect="snowflake",
    title="Snowflake",
    schemes=("snowflake",),
    forms=FORMS,
    reserved=frozenset(RESERVED.split()),
    catalogue=CATALOGUE,
    driver="snowflake",
    modules=("sqlalchemy", "snowflake.connector", "snowflake.sqlalchemy"),
    extra="snowflake",
    only_role=True,
    # There is no read-only session: without AUTOCOMMIT, a change of rows is rolled back.
    connect={
        "autocommit": False,
        "login_timeout": 15,
        "session_parameters": {"STATEMENT_TIMEOUT_IN_SECONDS": "{seconds}", "QUERY_TAG": "chaku"},
    },
    grace=20,
    fold="upper",
    exact_tables=True,
    exact_columns=True,
    backslashes=True,
    functions=frozenset(FUNCTIONS.split()),
)
