"""BigQuery: see https://cloud.google.com/bigquery/docs/reference/standard-sql. Not run against the real service."""

from chaku.sql.engines.engine import Catalogue, Engine, Forms
from chaku.sql.engines.standard import DATES, INTERVALS, SIZED, STATISTICS, UNITS

FORMS = Forms(
    functions={
        "": "rand",
        "e": "abs lower upper length char_length sign ceil ceiling floor sqrt exp ln log10 reverse initcap date"
        " datetime timestamp unix_seconds is_nan",
        "ee?": "trim ltrim rtrim round trunc log split",
        "ee": "nullif ifnull mod pow power left right repeat strpos starts_with ends_with div safe_divide"
        " regexp_contains",
        "eee": "replace regexp_replace if",
        "eee?": "substr substring lpad rpad instr regexp_extract",
        "eee*": "coalesce greatest least",
        "ee*": "concat",
        "eu": "date_trunc datetime_trunc timestamp_trunc last_day",
        "eeu": "date_diff datetime_diff timestamp_diff",
        "se": "format_date format_datetime format_timestamp parse_date parse_datetime parse_timestamp",
        "se*": "format",
    },
    aggregates={
        "AGGREGATE": f"sum avg min max {STATISTICS} any_value approx_count_distinct countif logical_and logical_or",
        "TEXT_AGGREGATE": "string_agg",
        "LIST_AGGREGATE": "array_agg",
        "PAIR_AGGREGATE": "corr covar_pop covar_samp max_by min_by",
        "DATE_ADD": "date_add date_sub datetime_add datetime_sub timestamp_add timestamp_sub",
    },
    aggregate_calls=(
        "TEXT_AGGREGATE CALL DISTINCT? {plain} (COMMA STRING)? {order} CLOSE over{x}?",
        "LIST_AGGREGATE CALL DISTINCT? {plain} {order} CLOSE over{x}?",
        "PAIR_AGGREGATE CALL {plain} COMMA {plain} CLOSE over{x}?",
    ),
    types=f"int64|float64|numeric{SIZED}|bignumeric{SIZED}|decimal{SIZED}|string|bool|date|time|datetime|timestamp",
    keywords={
        **INTERVALS,
        "FIELD": f"{UNITS}|dayofweek|dayofyear|isoweek|isoyear",
        "COMPARE": "-(=|<>|!=|<|<=|>|>=)-|+is+(not+)?distinct+from+",
        "MULTIPLY": "-(\\*|\\/)-",
        "QUALIFY": "+qualify+",
        "CAST": "(safe_)?cast",
        "NOW": "current_(date|timestamp|datetime|time)",
        "UNIT": f"+({UNITS})",
        "SET_OPERATOR": "+(union+(all|distinct)|(intersect|except)+distinct)+",
    },
    dates=(
        *DATES,
        "INTERVAL SPACE NUMBER UNIT",
        "DATE_ADD CALL value{x} COMMA INTERVAL SPACE sum{x} UNIT CLOSE",
    ),
    filters=False,
    qualify=True,
    tuples=False,
    needs_alias=False,
)
# https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#reserved_keywords
RESERVED = """
all and any array as asc assert_rows_modified at between by case cast collate contains create cross cube current
default define desc distinct else end enum escape except exclude exists extract false fetch following for from full
group grouping groups hash having if ignore in inner intersect interval into is join lateral left like limit lookup
merge natural new no not null nulls of on or order outer over partition preceding proto qualify range recursive
respect right rollup rows select set some struct tablesample then to treat true unbounded union unnest using when
where window with within
"""
# Functions that may be called besides those of `execute.functions`.
FUNCTIONS = """
date_sub datetime_add datetime_diff datetime_sub datetime_trunc format_date format_datetime format_timestamp
parse_date parse_datetime parse_timestamp regexp_contains timestamp_add timestamp_sub
"""

CATALOGUE = Catalogue(
    # {name}: the dataset of the URL. A description is stored as a string literal.
    columns="""
SELECT c.table_schema, c.table_name, c.column_name, c.data_type, CASE c.is_nullable WHEN 'NO' THEN 1 ELSE 0 END,
    f.description, TRIM(o.option_value, '"')
FROM {name}.INFORMATION_SCHEMA.COLUMNS AS c
    LEFT JOIN {name}.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS AS f
        ON f.table_name = c.table_name AND f.column_name = c.column_name AND f.field_path = c.column_name
    LEFT JOIN {name}.INFORMATION_SCHEMA.TABLE_OPTIONS AS o
        ON o.table_name = c.table_name AND o.option_name = 'description'
WHERE c.is_hidden = 'NO'
ORDER BY c.table_name, c.ordinal_position""",
    keys="""
SELECT k.table_schema, k.table_name, k.constraint_name, CASE t.constraint_type WHEN 'PRIMARY KEY' THEN 1 ELSE 0 END,
    k.column_name, u.table_schema, u.table_name, u.column_name
FROM {name}.INFORMATION_SCHEMA.KEY_COLUMN_USAGE AS k
    JOIN {name}.INFORMATION_SCHEMA.TABLE_CONSTRAINTS AS t ON t.constraint_name = k.constraint_name
    LEFT JOIN (
        SELECT DISTINCT constraint_name, table_name FROM {name}.INFORMATION_SCHEMA.CONSTRAINT_COLUMN_USAGE
    ) AS r ON r.constraint_name = k.constraint_name AND t.constraint_type = 'FOREIGN KEY'
    LEFT JOIN {name}.INFORMATION_SCHEMA.KEY_COLUMN_USAGE AS u
        ON u.table_name = r.table_name AND u.constraint_name = CONCAT(r.table_name, '.pk$')
        AND u.ordinal_position = k.position_in_unique_constraint
ORDER BY k.table_name, k.constraint_name, k.ordinal_position""",
    search_path="SELECT '{label}'",
    stamps="""
SELECT dataset_id, table_id, CASE type WHEN 1 THEN 'r' WHEN 2 THEN 'v' ELSE 'f' END, CAST(last_modified_time AS STRING)
FROM {name}.__TABLES__""",
)
BIGQUERY = Engine(
    dialect="bigquery",
    title="BigQuery",
    schemes=("bigquery",),
    forms=FORMS,
    reserved=frozenset(RESERVED.split()),
    catalogue=CATALOGUE,
    driver="bigquery",
    modules=("sqlalchemy", "google.cloud.bigquery", "sqlalchemy_bigquery"),
    extra="bigquery",
    grace=20,
    dry_run=True,
    cost_at=("totalBytesProcessed",),
    fields_by_dot=True,
    quotes=("`", "`"),
    exact_tables=True,
    ascii_names=True,
    backslashes=True,
    functions=frozenset(FUNCTIONS.split()),
    own_tables=("information_schema.", "__tables"),
)
