"""Words that need quotes as names of tables and columns, by engine.

A list has the words that the engine or sqlglot refuses, or reads as something else: "user" is the role in PostgreSQL.
The words were found by running a query for a column and a table with the name of each keyword of the engine. Sources of
keywords: PostgreSQL 15's pg_get_keywords() (and system_user of 16), DuckDB's duckdb_keywords(), MariaDB 10.11's
information_schema.keywords, the manual of MySQL 9, and SQLite's list of keywords. The tests repeat these queries.
"""

from typing import Final, Literal

_SQLITE = """
add all alter and as autoincrement between case cast check collate commit constraint create cross current_date
current_time current_timestamp default deferrable delete distinct drop else escape except exists for foreign from glob
group having if in index inner insert intersect into is isnull join like limit not nothing notnull null offset on or
order outer primary raise references regexp returning rollback select set table then to transaction union unique
update using values when where window with
"""
_DUCKDB = """
all alter analyse analyze and anti any array as asc asof asymmetric at authorization between binary both by case cast
check collate collation column concurrently constraint create cross cube current_user default deferrable desc describe
distinct do drop else end except false fetch for force foreign freeze from full glob grant group having if ilike in
initially inner insert install intersect interval into is isnull join lambda lateral leading left like limit lock map
natural not notnull null offset on only or order outer overlaps pivot pivot_longer pivot_wider placing positional
primary qualify references returning revoke right rollback rollup select semi setof show similar some summarize
symmetric table tablesample then to trailing true union unique unpack unpivot using values variadic verbose when where
window with
"""
_POSTGRESQL = """
all alter analyse analyze and any array as asc asymmetric authorization between binary both case cast check collate
collation column concurrently constraint create cross cube current_catalog current_date current_role current_schema
current_time current_timestamp current_user default deferrable desc distinct do drop else end except false fetch for
foreign freeze from full grant group having if ilike in initially inner insert intersect interval into is isnull join
lateral leading left like limit localtime localtimestamp lock natural not notnull null offset on only or order outer
overlaps placing primary references returning revoke right rollback rollup select session_user similar some symmetric
system_user table tablesample then to trailing true union unique user using values variadic verbose when where window
with
"""
_MYSQL = """
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

RESERVED_WORDS: Final[dict[Literal["sqlite", "duckdb", "postgres", "mysql"], frozenset[str]]] = {
    "sqlite": frozenset(_SQLITE.split()),
    "duckdb": frozenset(_DUCKDB.split()),
    "postgres": frozenset(_POSTGRESQL.split()),
    "mysql": frozenset(_MYSQL.split()),
}
