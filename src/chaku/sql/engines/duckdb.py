"""DuckDB: see https://duckdb.org/docs/stable/sql/introduction."""

from chaku.sql.engines.engine import Catalogue, Engine, Forms
from chaku.sql.engines.standard import DATES, INTERVALS, SIZED, STATISTICS, UNITS

FORMS = Forms(
    functions={
        "": "now today random",
        "e": "abs lower upper length sign ceil ceiling floor sqrt exp ln log2 log10 reverse typeof year quarter month"
        " week day dayofweek isodow dayofyear weekofyear hour minute second monthname dayname last_day epoch"
        " to_timestamp",
        "ee?": "trim ltrim rtrim round log age trunc",
        "ee": "nullif ifnull instr strpos mod pow power left right repeat contains starts_with ends_with string_split"
        " levenshtein",
        "eee": "replace split_part lpad rpad make_date if",
        "eee?": "substr substring regexp_matches regexp_extract",
        "eeee?": "regexp_replace",
        "eee*": "coalesce greatest least concat_ws",
        "ee*": "concat",
        "es": "strftime strptime",
        "se": "date_trunc date_part datetrunc",
        "see": "date_diff datediff date_sub",
        "se*": "printf format",
    },
    aggregates={
        "AGGREGATE": f"sum avg min max {STATISTICS} median mode any_value first last bool_and bool_or"
        " approx_count_distinct",
        "TEXT_AGGREGATE": "string_agg group_concat",
        "LIST_AGGREGATE": "array_agg list",
        "PAIR_AGGREGATE": "corr covar_pop covar_samp quantile_cont quantile_disc arg_max arg_min max_by min_by",
        "ORDERED_AGGREGATE": "percentile_cont percentile_disc",
    },
    aggregate_calls=(
        "TEXT_AGGREGATE CALL DISTINCT? {plain} COMMA STRING {order} CLOSE {over}",
        "LIST_AGGREGATE CALL DISTINCT? {plain} {order} CLOSE {over}",
        "PAIR_AGGREGATE CALL {plain} COMMA {plain} CLOSE {over}",
        "ORDERED_AGGREGATE CALL NUMBER CLOSE WITHIN_GROUP ordered_in{x} CLOSE",
    ),
    types=f"integer|int|bigint|hugeint|smallint|double( precision)?|float|real|numeric{SIZED}|decimal{SIZED}"
    f"|varchar{SIZED}|text|boolean|bool|date|time|timestamp|interval",
    keywords={
        **INTERVALS,
        "COMPARE": "-(=|==|<>|!=|<|<=|>|>=)-|+is+(not+)?distinct+from+",
        "MULTIPLY": "-(\\*|\\/|\\/\\/|%)-",
        "ILIKE": "+(not+)?ilike+",
        "CAST_SIGN": "-::-",
        "QUALIFY": "+qualify+",
        "CAST": "(try_)?cast",
        "UNIT": f"+({UNITS})s?",
        "ALL_OPEN": "(all|any)-\\(-",
        "WITHIN_GROUP": "-within+group-\\(-order+by+",
    },
    dates=(*DATES, "INTERVAL SPACE (STRING UNIT? | NUMBER UNIT)"),
    suffix="(CAST_SIGN TYPE)*",
    like="LIKE | ILIKE",
    qualify=True,
    needs_alias=False,
)
# The words that DuckDB's duckdb_keywords() lists, and that DuckDB or sqlglot refuses.
RESERVED = """
all alter analyse analyze and anti any array as asc asof asymmetric at authorization between binary both by case cast
check collate collation column concurrently constraint create cross cube current_user default deferrable desc describe
distinct do drop else end except false fetch for force foreign freeze from full glob grant group having if ilike in
initially inner insert install intersect interval into is isnull join lambda lateral leading left like limit lock map
natural not notnull null offset on only or order outer overlaps pivot pivot_longer pivot_wider placing positional
primary qualify references returning revoke right rollback rollup select semi setof show similar some summarize
symmetric table tablesample then to trailing true union unique unpack unpivot using values variadic verbose when where
window with
"""

# DuckDB's documented catalogue: SQLAlchemy's dialect duckdb-engine lags behind DuckDB.
_HERE = "database_name = current_database() AND NOT internal"
CATALOGUE = Catalogue(
    columns=f"""
SELECT c.schema_name, c.table_name, c.column_name, c.data_type, NOT c.is_nullable, c.comment, t.comment
FROM duckdb_columns() c JOIN (
    SELECT schema_name, table_name, comment FROM duckdb_tables() WHERE {_HERE}
    UNION ALL SELECT schema_name, view_name, comment FROM duckdb_views() WHERE {_HERE}
) t ON t.schema_name = c.schema_name AND t.table_name = c.table_name
WHERE {_HERE.replace("database_name", "c.database_name").replace("internal", "c.internal")}
ORDER BY c.schema_name <> 'main', c.table_oid, c.column_index""",
    keys="""
SELECT schema_name, table_name, constraint_index, constraint_type = 'PRIMARY KEY', unnest(constraint_column_names),
    schema_name, referenced_table, unnest(referenced_column_names)
FROM duckdb_constraints()
WHERE database_name = current_database() AND constraint_type IN ('PRIMARY KEY', 'FOREIGN KEY')""",
    search_path="SELECT 'main'",
)
DUCKDB = Engine(
    dialect="duckdb",
    title="DuckDB",
    schemes=("duckdb",),
    runner="duckdb",
    forms=FORMS,
    reserved=frozenset(RESERVED.split()),
    catalogue=CATALOGUE,
    modules=("duckdb",),
    system_columns=("rowid",),
    fields_by_dot=True,
    whole_rows=True,
    checks_names=False,
    one_catalog=False,
    tried="DuckDB",
)
