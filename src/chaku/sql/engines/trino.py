"""Trino: see https://trino.io/docs/current/sql.html. Not run against a real server."""

from chaku.sql.engines.engine import Catalogue, Engine, Forms
from chaku.sql.engines.standard import DATES, INTERVALS, SIZED, STATISTICS, UNITS

FORMS = Forms(
    functions={
        "": "now random",
        "e": "abs lower upper length sign ceil ceiling floor sqrt exp ln log2 log10 reverse trim ltrim rtrim year"
        " quarter month week day day_of_week day_of_year hour minute second date typeof from_unixtime to_unixtime"
        " last_day_of_month",
        "ee?": "round truncate",
        "ee": "nullif mod pow power strpos starts_with regexp_like split levenshtein_distance",
        "eee": "split_part lpad rpad",
        "eee?": "substr substring replace regexp_replace regexp_extract if",
        "eee*": "coalesce greatest least concat_ws",
        "ee*": "concat",
        "es": "date_format date_parse format_datetime",
        "se": "date_trunc",
        "see": "date_diff date_add",
        "se*": "format",
    },
    aggregates={
        "AGGREGATE": f"sum avg min max {STATISTICS} any_value arbitrary bool_and bool_or every approx_distinct"
        " count_if",
        "TEXT_AGGREGATE": "listagg",
        "LIST_AGGREGATE": "array_agg",
        "PAIR_AGGREGATE": "corr covar_pop covar_samp max_by min_by approx_percentile",
    },
    aggregate_calls=(
        "TEXT_AGGREGATE CALL DISTINCT? {plain} COMMA STRING CLOSE WITHIN_GROUP ordered_in{x} CLOSE",
        "LIST_AGGREGATE CALL DISTINCT? {plain} {order} CLOSE {over}",
        "PAIR_AGGREGATE CALL {plain} COMMA {plain} CLOSE {over}",
    ),
    types=f"tinyint|smallint|integer|int|bigint|real|double( precision)?|decimal{SIZED}|varchar{SIZED}|char{SIZED}"
    "|boolean|date|time|timestamp",
    keywords={
        **INTERVALS,
        "FIELD": f"{UNITS}|day_of_week|day_of_year|dow|doy",
        "COMPARE": "-(=|<>|!=|<|<=|>|>=)-|+is+(not+)?distinct+from+",
        "CAST": "(try_)?cast",
        "UNIT": f"+({UNITS})",
        "IS_NULL": "+is+(not+)?null",
        "ALL_OPEN": "(all|any|some)-\\(-",
        "WITHIN_GROUP": "-within+group-\\(-order+by+",
    },
    dates=(*DATES, "INTERVAL SPACE STRING UNIT"),
    limit="(OFFSET INTEGER)? LIMIT INTEGER",
    needs_alias=False,
    group_by_names=False,
    having_names=False,
)
# https://trino.io/docs/current/language/reserved.html
RESERVED = """
alter and as auto between by case cast constraint create cross cube current_catalog current_date current_path
current_role current_schema current_time current_timestamp current_user deallocate delete describe distinct drop else
end escape except execute exists extract false for from full group grouping having in inner insert intersect into is
join json_array json_exists json_object json_query json_table json_value left like listagg localtime localtimestamp
natural normalize not null on or order outer prepare recursive right rollup select skip table then trim true uescape
union unnest using values when where with
"""
# Functions that may be called besides those of `execute.functions`.
FUNCTIONS = """
approx_percentile arbitrary date_parse day_of_month format_datetime from_unixtime last_day_of_month
levenshtein_distance to_unixtime
"""

CATALOGUE = Catalogue(
    columns="""
SELECT c.table_schem, c.table_name, c.column_name, UPPER(c.type_name), 1 - c.nullable, c.remarks, ''
FROM system.jdbc.columns AS c
WHERE c.table_cat = CURRENT_CATALOG AND c.table_schem <> 'information_schema'
ORDER BY c.table_schem, c.table_name, c.ordinal_position""",
    keys="",  # Trino tells no keys
    search_path="SELECT CURRENT_SCHEMA",
)
TRINO = Engine(
    dialect="trino",
    title="Trino",
    schemes=("trino",),
    forms=FORMS,
    reserved=frozenset(RESERVED.split()),
    catalogue=CATALOGUE,
    driver="trino",
    modules=("sqlalchemy", "trino"),
    extra="trino",
    only_role=True,
    connect={"session_properties": {"query_max_execution_time": "{seconds}s"}, "source": "chaku"},
    grace=15,
    strict_dates=True,
    fields_by_dot=True,
    ascii_names=True,
    functions=frozenset(FUNCTIONS.split()),
)
