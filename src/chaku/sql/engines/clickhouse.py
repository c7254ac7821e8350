"""ClickHouse: see https://clickhouse.com/docs/sql-reference."""

from chaku.sql.engines.engine import Catalogue, Engine, Forms
from chaku.sql.engines.standard import DATES, INTERVALS, SIZED, UNITS

FORMS = Forms(
    functions={
        "": "now today yesterday rand",
        "e": "abs lower upper length char_length sign ceil ceiling floor sqrt exp ln log log2 log10 reverse trim ltrim"
        " rtrim year quarter month day hour minute second dayofweek dayofyear dayofmonth toYear toQuarter toMonth"
        " toWeek toISOWeek toDayOfMonth toDayOfWeek toDayOfYear toHour toMinute toSecond toStartOfYear toStartOfQuarter"
        " toStartOfMonth toStartOfWeek toStartOfDay toStartOfHour toMonday toLastDayOfMonth toYYYYMM toYYYYMMDD toDate"
        " toDateTime toString toInt32 toInt64 toUInt64 toFloat64 toTypeName isNull isNotNull empty notEmpty lowerUTF8"
        " upperUTF8 lengthUTF8 trimBoth",
        "ee?": "round trunc",
        "ee": "nullif ifnull mod pow power left right repeat position positionCaseInsensitive startsWith endsWith"
        " addDays addWeeks addMonths addQuarters addYears subtractDays subtractWeeks subtractMonths subtractYears"
        " intDiv has match",
        "eee": "replace replaceAll replaceRegexpAll if",
        "eee?": "substr substring mid lpad rpad",
        "eee*": "coalesce greatest least multiIf",
        "ee*": "concat",
        "es": "formatDateTime extract",
        "se": "date_trunc dateTrunc",
        "see": "date_diff dateDiff",
        "se*": "format concatWithSeparator",
        "see*": "splitByChar splitByString",
    },
    aggregates={
        "AGGREGATE": "sum avg min max any anyLast uniq uniqExact median stddev_pop stddev_samp var_pop var_samp"
        " stddevPop stddevSamp varPop varSamp",
        "LIST_AGGREGATE": "groupArray groupUniqArray",
        "PAIR_AGGREGATE": "argMax argMin corr covarPop covarSamp sumIf avgIf minIf maxIf uniqIf",
        "COUNT_IF": "countIf",
        "QUANTILE": "quantile quantileExact",
    },
    aggregate_calls=(
        "LIST_AGGREGATE CALL {plain} CLOSE {over}",
        "PAIR_AGGREGATE CALL {plain} COMMA {plain} CLOSE {over}",
        "COUNT_IF CALL {plain} CLOSE {over}",
        "COUNT CALL CLOSE {over}",
        "QUANTILE CALL NUMBER CLOSE CALL {plain} CLOSE",
        "COUNT CALL DISTINCT {plain} (COMMA {plain})+ CLOSE",
    ),
    types=f"u?int(8|16|32|64)?|integer|bigint|float(32|64)?|double|decimal{SIZED}|string|varchar{SIZED}|text|date|datetime"
    "|timestamp|bool|boolean",
    keywords={
        **INTERVALS,
        "DATE": "date",
        "FIELD": UNITS,
        "COMPARE": "-(=|==|<>|!=|<|<=|>|>=)-",
        "ILIKE": "+(not+)?ilike+",
        "CAST_SIGN": "-::-",
        "QUALIFY": "+qualify+",
        "UNIT": f"+({UNITS})",
        "IS_NULL": "+is+(not+)?null",
        "NOW": "current_(date|timestamp)",
        "RANKING": "row_number|rank|dense_rank|percent_rank",
        "SET_OPERATOR": "+(union+(all|distinct)|union|intersect|except)+",
    },
    dates=(*DATES, "INTERVAL SPACE NUMBER UNIT"),
    suffix="(CAST_SIGN TYPE)*",
    like="LIKE | ILIKE",
    limit="LIMIT INTEGER (OFFSET INTEGER)? | LIMIT INTEGER COMMA INTEGER",
    no_names="array asof final format global into outfile prewhere sample settings",
    qualify=True,
    needs_alias=False,
)
# The words that are no name of a column or a table in ClickHouse 26, or that sqlglot refuses; see tests.
RESERVED = """
all and any array as asof between by case cast cross distinct else end except exists final for format from full global
group having in inner intersect interval into is join left like limit not null offset on or order outer prewhere qualify
right sample select semi settings table then union using values when where window with
"""
# Functions that may be called besides those of `execute.functions`.
FUNCTIONS = """
addDays addHours addMinutes addMonths addQuarters addSeconds addWeeks addYears any anyLast argMax argMin avgIf
concatWithSeparator countIf countSubstrings covarPop covarSamp dateDiff dateTrunc empty formatDateTime groupArray
groupUniqArray has intDiv isNotNull lengthUTF8 lowerUTF8 match maxIf minIf multiIf notEmpty positionCaseInsensitive
quantile quantileExact replaceAll replaceOne replaceRegexpAll replaceRegexpOne splitByChar splitByString stddevPop
stddevSamp subtractDays subtractMonths subtractQuarters subtractWeeks subtractYears sumIf toDate toDateTime
toDayOfMonth toDayOfWeek toDayOfYear toFloat32 toFloat64 toHour toInt16 toInt32 toInt64 toInt8 toISOWeek
toLastDayOfMonth toMinute toMonday toMonth toQuarter toSecond toStartOfDay toStartOfHour toStartOfMonth
toStartOfQuarter toStartOfWeek toStartOfYear toString toTypeName toUInt16 toUInt32 toUInt64 toUInt8 toWeek toYear
toYYYYMM toYYYYMMDD trimBoth uniq uniqExact uniqIf upperUTF8 varPop varSamp yesterday
"""

CATALOGUE = Catalogue(
    # Nullable and LowCardinality say how a column is stored; its type is inside.
    columns=r"""
SELECT c.database, c.table, c.name,
    replaceRegexpOne(replaceRegexpOne(c.type, '^LowCardinality\\((.*)\\)$', '\\1'), '^Nullable\\((.*)\\)$', '\\1'),
    position(c.type, 'Nullable(') = 0, c.comment, t.comment
FROM system.columns c JOIN system.tables t ON t.database = c.database AND t.name = c.table
WHERE c.database NOT IN ('system', 'information_schema', 'INFORMATION_SCHEMA') AND NOT t.is_temporary
    AND t.name NOT LIKE '.inner%'
ORDER BY c.database <> currentDatabase(), c.database, c.table, c.position""",
    # A primary key here is an order of rows: its values repeat. There are no foreign keys.
    keys="",
    search_path="SELECT currentDatabase()",
    # Numbers of parts grow with every INSERT, and their versions with every change.
    stamps="""
SELECT t.database, t.name,
    multiIf(t.engine LIKE '%View', 'v', t.engine LIKE '%MergeTree', 'r', 'f'),
    concat(toString(t.uuid), '-', toString(p.last), '-', toString(p.version), '-', toString(p.num_rows))
FROM system.tables t LEFT JOIN (
    SELECT database, table, max(max_block_number) AS last, max(data_version) AS version, sum(rows) AS num_rows
    FROM system.parts WHERE active GROUP BY database, table
) p ON p.database = t.database AND p.table = t.name
WHERE t.database NOT IN ('system', 'information_schema', 'INFORMATION_SCHEMA')""",
    own_functions="SELECT name FROM system.functions WHERE origin <> 'System'",
)
CLICKHOUSE = Engine(
    dialect="clickhouse",
    fields_by_dot=True,
    title="ClickHouse",
    schemes=("clickhouse", "clickhousedb"),
    forms=FORMS,
    reserved=frozenset(RESERVED.split()),
    catalogue=CATALOGUE,
    driver="clickhousedb",
    modules=("sqlalchemy", "clickhouse_connect"),
    extra="clickhouse",
    connect={  # settings of a query
        "ch_readonly": 1,  # no change of data or settings, and no table function such as url or s3
        "ch_max_execution_time": "{seconds}",
        "ch_timeout_before_checking_execution_speed": 0,
        "ch_max_result_rows": "{rows}",
        "ch_result_overflow_mode": "break",
        "ch_max_memory_usage": 4_000_000_000,  # bytes
        "ch_join_use_nulls": 1,  # as other engines do
        "ch_union_default_mode": "DISTINCT",
    },
    exact_tables=True,
    ascii_names=True,
    grace=15,
    exact_columns=True,
    backslashes=True,
    functions=frozenset(FUNCTIONS.lower().split()),
    tried="ClickHouse's engine (chdb) through its driver, not its own server",
)
