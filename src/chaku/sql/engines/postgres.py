"""PostgreSQL: see https://www.postgresql.org/docs/current/."""

from chaku.sql.engines.engine import Catalogue, Engine, Forms
from chaku.sql.engines.standard import DATES, INTERVALS, SIZED, STATISTICS, UNITS

FORMS = Forms(
    functions={
        "": "now random",
        "e": "abs lower upper length char_length sign ceil ceiling floor sqrt exp ln reverse initcap",
        "ee?": "btrim trim ltrim rtrim round trunc log age",
        "ee": "nullif strpos mod power left right repeat starts_with string_to_array array_length",
        "eee": "replace split_part translate make_date",
        "eee?": "substr substring lpad rpad",
        "eeee?": "regexp_replace",
        "eee*": "coalesce greatest least concat_ws",
        "ee*": "concat",
        "es": "to_char to_date to_number",
        "es?": "to_timestamp",
        "se": "date_trunc date_part",
        "se*": "format",
    },
    aggregates={
        "AGGREGATE": f"sum avg min max {STATISTICS} bool_and bool_or every",
        "TEXT_AGGREGATE": "string_agg",
        "LIST_AGGREGATE": "array_agg json_agg jsonb_agg",
        "PAIR_AGGREGATE": "corr covar_pop covar_samp",
        "ORDERED_AGGREGATE": "percentile_cont percentile_disc",
        "MODE": "mode",
    },
    aggregate_calls=(
        "TEXT_AGGREGATE CALL DISTINCT? {plain} COMMA STRING {order} CLOSE {over}",
        "LIST_AGGREGATE CALL DISTINCT? {plain} {order} CLOSE {over}",
        "PAIR_AGGREGATE CALL {plain} COMMA {plain} CLOSE {over}",
        "ORDERED_AGGREGATE CALL NUMBER CLOSE WITHIN_GROUP ordered_in{x} CLOSE",
        "MODE CALL CLOSE WITHIN_GROUP ordered_in{x} CLOSE",
    ),
    types=f"integer|int|bigint|smallint|double precision|float|real|numeric{SIZED}|decimal{SIZED}"
    f"|varchar{SIZED}|text|boolean|bool|date|time|timestamp|timestamptz|interval",
    keywords={
        **INTERVALS,
        "COMPARE": "-(=|<>|!=|<|<=|>|>=)-|-(~|!~)\\*?-|+is+(not+)?distinct+from+",
        "ILIKE": "+(not+)?ilike+",
        "CAST_SIGN": "-::-",
        "UNIT": f"+({UNITS})",
        "ALL_OPEN": "(all|any|some)-\\(-",
        "WITHIN_GROUP": "-within+group-\\(-order+by+",
    },
    dates=(*DATES, "INTERVAL SPACE STRING UNIT?"),
    suffix="(CAST_SIGN TYPE)*",
    like="LIKE | ILIKE",
    having_names=False,
)
# The words of pg_get_keywords() of PostgreSQL 15 (and system_user of 16) that PostgreSQL or sqlglot refuses, or that
# have another meaning: "user" is the role.
RESERVED = """
all alter analyse analyze and any array as asc asymmetric authorization between binary both case cast check collate
collation column concurrently constraint create cross cube current_catalog current_date current_role current_schema
current_time current_timestamp current_user default deferrable desc distinct do drop else end except false fetch for
foreign freeze from full grant group having if ilike in initially inner insert intersect interval into is isnull join
lateral leading left like limit localtime localtimestamp lock natural not notnull null offset on only or order outer
overlaps placing primary references returning revoke right rollback rollup select session_user similar some symmetric
system_user table tablesample then to trailing true union unique user using values variadic verbose when where window
with
"""

CATALOGUE = Catalogue(
    columns=r"""
SELECT n.nspname, c.relname, a.attname,
    coalesce('ENUM(' || (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e
        WHERE e.enumtypid IN (t.oid, t.typelem, t.typbasetype)) || CASE t.typcategory WHEN 'A' THEN ')[]' ELSE ')' END,
        upper(format_type(a.atttypid, a.atttypmod))),
    a.attnotnull, col_description(c.oid, a.attnum), obj_description(c.oid, 'pg_class')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
        AND d.deptype = 'e')
ORDER BY NOT pg_table_is_visible(c.oid), n.nspname, c.relname, a.attnum""",
    keys="""
SELECT n.nspname, c.relname, k.conname, k.contype = 'p', a.attname, fn.nspname, f.relname, b.attname
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN unnest(k.conkey) WITH ORDINALITY AS x (number, place)
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.number
    LEFT JOIN pg_class f ON f.oid = k.confrelid LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
    LEFT JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[x.place]
WHERE k.contype IN ('p', 'f') AND k.conparentid = 0 ORDER BY k.conname, x.place""",
    search_path="SELECT unnest(current_schemas(false))::text",
    # The stamp has the numbers of rows written since the statistics began, and the table's file, which TRUNCATE
    # replaces. A view or a partitioned table may change with any table. Changes of a foreign table cannot be detected.
    stamps="""
SELECT n.nspname, c.relname, c.relkind::text,
    concat_ws('-', c.oid, c.relfilenode, s.n_tup_ins, s.n_tup_upd, s.n_tup_del)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'""",
    # Leaves out a function if the user has defined a function with the same name in the same schema.
    extensions="""
SELECT p.proname, n.nspname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname <> 'pg_catalog'
    AND NOT EXISTS (SELECT FROM pg_proc b WHERE b.proname = p.proname AND b.pronamespace = 'pg_catalog'::regnamespace)
GROUP BY p.proname, n.nspname
HAVING bool_and(EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'))""",
    # Row-level security that holds for this role: not for the owner of a table, nor for a superuser.
    hidden_rows="""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relrowsecurity AND row_security_active(c.oid)""",
    short_types={
        "CHARACTER VARYING": "VARCHAR",
        "CHARACTER": "CHAR",
        "DOUBLE PRECISION": "DOUBLE",
        "INTEGER": "INT",
        "TIME WITHOUT TIME ZONE": "TIME",
        "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP",
        "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ",
    },
)
# The columns of functions in FROM; "" stands for the alias of the function.
TABLE_FUNCTIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("unnest", "generate_series", "generate_subscripts", "regexp_split_to_table"), ("",)),
    **dict.fromkeys(("string_to_table", "json_object_keys", "jsonb_object_keys"), ("",)),
    **dict.fromkeys(("json_array_elements", "json_array_elements_text"), ("value",)),
    **dict.fromkeys(("jsonb_array_elements", "jsonb_array_elements_text"), ("value",)),
    **dict.fromkeys(("json_each", "json_each_text", "jsonb_each", "jsonb_each_text"), ("key", "value")),
}
POSTGRES = Engine(
    dialect="postgres",
    title="PostgreSQL",
    schemes=("postgresql", "postgres"),
    forms=FORMS,
    reserved=frozenset(RESERVED.split()),
    catalogue=CATALOGUE,
    driver="postgresql+psycopg",
    modules=("sqlalchemy", "psycopg"),
    session=(
        "SET default_transaction_read_only = on",
        "SET standard_conforming_strings = on",  # as the parse tree's check reads strings
        "SET statement_timeout = {milliseconds}",
        "SET lock_timeout = {milliseconds}",
        "SET idle_in_transaction_session_timeout = {milliseconds}",
        "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
    ),
    explain="EXPLAIN (FORMAT JSON)",
    cost_at=(0, "Plan", "Total Cost"),
    fold="lower",
    exact_tables=True,
    exact_columns=True,
    system_columns=("ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"),
    one_catalog=False,
    dots_call=True,
    whole_rows=True,
    built_in="pg_catalog",
    grace=15,
    table_functions=TABLE_FUNCTIONS,
    tried="PostgreSQL 15",
)
