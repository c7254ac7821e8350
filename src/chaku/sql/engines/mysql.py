"""MySQL 8 and MariaDB: see https://dev.mysql.com/doc/refman/8.4/en/ and https://mariadb.com/docs/server/reference.

Both have one grammar: the forms that both engines accept.
"""

from dataclasses import replace

from chaku.sql.engines.engine import Catalogue, Engine, Forms
from chaku.sql.engines.standard import DATES, INTERVALS, SIZED, STATISTICS, UNITS

FORMS = Forms(
    functions={
        "": "now curdate curtime rand",
        "e": "abs lower upper length char_length sign ceil ceiling floor sqrt exp ln log2 log10 reverse trim ltrim"
        " rtrim year quarter month weekofyear day dayofmonth dayofweek weekday dayofyear hour minute second monthname"
        " dayname last_day date time to_days isnull unix_timestamp",
        "ee?": "round log week yearweek",
        "ee": "nullif ifnull instr mod pow power left right repeat locate truncate datediff timediff makedate"
        " find_in_set period_diff",
        "eee": "replace lpad rpad substring_index if",
        "eee?": "substr substring mid",
        "eee*": "coalesce greatest least concat_ws field",
        "ee*": "concat",
        "es": "date_format str_to_date time_format",
        "es?": "from_unixtime",
    },
    aggregates={
        "AGGREGATE": f"sum avg min max {STATISTICS} std",
        "TEXT_AGGREGATE": "group_concat",
        "DATE_ADD": "date_add date_sub adddate subdate",
        "DATE_DIFF": "timestampdiff timestampadd",
    },
    aggregate_calls=(
        "TEXT_AGGREGATE CALL DISTINCT? {plain} (COMMA {plain})* {order} (SEPARATOR STRING)? CLOSE",
        "COUNT CALL DISTINCT {plain} (COMMA {plain})+ CLOSE",
    ),
    types=f"signed( integer)?|unsigned( integer)?|decimal{SIZED}|double|float|char{SIZED}|date|time|datetime",
    keywords={
        **INTERVALS,
        "FIELD": UNITS,
        "COMPARE": "-(=|<=>|<>|!=|<|<=|>|>=)-",
        "ADD": "-(\\+|\\-)-",
        "MULTIPLY": "-(\\*|\\/|%)-|+(div|mod)+",
        "REGEXP": "+(not+)?(regexp|rlike)+",
        "UNIT": f"+({UNITS})",
        "ALL_OPEN": "(all|any|some)-\\(-",
        "SEPARATOR": "+separator+",
    },
    dates=(
        *DATES,
        "DATE_ADD CALL value{x} COMMA INTERVAL SPACE sum{x} UNIT CLOSE",
        "DATE_DIFF CALL FIELD COMMA value{x} COMMA value{x} CLOSE",
    ),
    added="(product{x} | INTERVAL SPACE NUMBER UNIT)",
    like="LIKE | REGEXP",
    limit="LIMIT INTEGER (OFFSET INTEGER)? | LIMIT INTEGER COMMA INTEGER",
    joins="left|right",
    no_names="date merge minus nocheck",
    filters=False,
    nulls=False,
)
# The words of MariaDB 10.11's information_schema.keywords and of the manual of MySQL 9 that an engine or sqlglot
# refuses, or that have another meaning.
RESERVED = """
accessible add all alter analyze and any as asc asensitive before between bigint binary blob both by call cascade case
change char character charset check collate column condition constraint continue convert create cross cube cume_dist
current_date current_role current_time current_timestamp current_user cursor database databases day_hour
day_microsecond day_minute day_second dec decimal declare default delayed delete delete_domain_id dense_rank desc
describe deterministic distinct distinctrow div do_domain_ids double drop dual each else elseif empty enclosed escaped
except exists exit explain false fetch first_value float float4 float8 for force foreign from fulltext function
generated get grant group grouping groups having high_priority hour_microsecond hour_minute hour_second if ignore
ignore_domain_ids in index infile inner inout insensitive insert int int1 int2 int3 int4 int8 integer intersect
interval into io_after_gtids io_before_gtids is iterate join json_table key keys kill lag last_value lateral lead
leading leave left library like limit linear lines load localtime localtimestamp lock long longblob longtext loop
low_priority manual master_bind master_demote_to_replica master_demote_to_slave master_ssl_verify_server_cert match
maxvalue mediumblob mediumint mediumtext middleint minute_microsecond minute_second mod modifies natural
no_write_to_binlog not nth_value ntile null numeric of offset on optimize optimizer_costs option optionally or order
out outer outfile over page_checksum parallel parse_vcol_expr partition percent_rank portion precision primary
procedure purge qualify range rank read read_write reads real recursive ref_system_id references regexp release rename
repeat replace require resignal restrict return returning revoke right rlike rollback rollup row row_number rows
schema schemas second_microsecond select sensitive separator set show signal smallint spatial specific sql
sql_big_result sql_buffer_result sql_cache sql_calc_found_rows sql_no_cache sql_small_result sqlexception sqlstate
sqlwarning ssl starting stats_auto_recalc stats_persistent stats_sample_pages stored straight_join system table
tablesample terminated then tinyblob tinyint tinytext to trailing trigger true undo union unique unlock unsigned
update usage use using utc_date utc_time utc_timestamp values varbinary varchar varcharacter varying virtual when
where while window with write xor year_month zerofill
"""

CATALOGUE = Catalogue(
    # The URL's database. A type keeps the case of its labels.
    columns=r"""
SELECT c.table_schema, c.table_name, c.column_name,
    CASE WHEN c.column_type LIKE '%\'%' THEN concat(upper(substring_index(c.column_type, '(', 1)),
        substr(c.column_type, locate('(', c.column_type))) ELSE upper(c.column_type) END,
    c.is_nullable = 'NO', c.column_comment, CASE WHEN t.table_type = 'VIEW' THEN '' ELSE t.table_comment END
FROM information_schema.columns c
    JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
WHERE c.table_schema = DATABASE() AND t.table_type IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')
ORDER BY c.table_name, c.ordinal_position""",
    keys="""
SELECT table_schema, table_name, constraint_name, constraint_name = 'PRIMARY', column_name,
    referenced_table_schema, referenced_table_name, referenced_column_name
FROM information_schema.key_column_usage
WHERE table_schema = DATABASE() AND (constraint_name = 'PRIMARY' OR referenced_table_schema = DATABASE())
ORDER BY table_name, constraint_name, ordinal_position""",
    search_path="SELECT DATABASE()",
    # The time of the last change, if the server knows it; it counts in whole seconds.
    stamps="""
SELECT table_schema, table_name, CASE table_type WHEN 'VIEW' THEN 'v' ELSE 'r' END,
    CASE WHEN update_time < now() - INTERVAL 2 SECOND THEN concat_ws(' ', create_time, update_time) END
FROM information_schema.tables WHERE table_schema = DATABASE()""",
    # Such a function may have the name of another engine's function.
    own_functions="SELECT routine_name FROM information_schema.routines WHERE routine_schema = DATABASE()",
)
MYSQL = Engine(
    dialect="mysql",
    title="MySQL",
    schemes=("mysql",),
    forms=FORMS,
    reserved=frozenset(RESERVED.split()),
    catalogue=CATALOGUE,
    driver="mysql+pymysql",
    modules=("sqlalchemy", "pymysql"),
    session=(
        # MariaDB runs the part in /*M! */, and MySQL the others. Without the last, times of changes are a day old.
        "SET SESSION lock_wait_timeout = {seconds} /*M! , max_statement_time = {milliseconds} / 1000.0 */"
        " /*!50708 , max_execution_time = {milliseconds} */ /*!80000 , information_schema_stats_expiry = 0 */",
        # The server must read strings and names as the check of the parse tree reads them.
        "SET SESSION sql_mode = replace(replace(replace(replace(@@sql_mode, 'NO_BACKSLASH_ESCAPES', ''),"
        " 'ANSI_QUOTES', ''), 'ANSI', ''), 'ORACLE', '')",
        "SET SESSION TRANSACTION READ ONLY",
        "START TRANSACTION READ ONLY",
    ),
    explain="EXPLAIN FORMAT=JSON",
    version="SELECT concat(version(), ' ', @@version_comment)",
    shared_forms=True,
    grace=15,
    quotes=("`", "`"),
    exact_tables=True,
    backslashes=True,
    checks_names=False,
    pipes_join=False,
    one_catalog=False,
)
MARIADB = replace(MYSQL, dialect="mariadb", title="MariaDB", schemes=("mariadb",), tried="MariaDB 10.11")
