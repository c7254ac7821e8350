"""Amazon Redshift: see https://docs.aws.amazon.com/redshift/latest/dg. Not run against a real server."""

from chaku.sql.engines.engine import Catalogue, Engine, Forms
from chaku.sql.engines.standard import DATES, INTERVALS, SIZED, STATISTICS, UNITS

FORMS = Forms(
    functions={
        "": "getdate random",
        "e": "abs lower upper length len char_length sign ceil ceiling floor sqrt exp ln reverse initcap last_day",
        "ee?": "btrim trim ltrim rtrim round trunc log",
        "eee": "replace split_part translate nvl2",
        "eee?": "substr substring lpad rpad regexp_substr regexp_replace",
        "eee*": "coalesce greatest least decode",
        "ee": "nullif nvl strpos charindex mod power left right repeat add_months months_between concat",
        "es": "to_char to_date to_number to_timestamp",
        "se": "date_trunc date_part",
        "uee": "datediff dateadd",
    },
    aggregates={
        "AGGREGATE": f"sum avg min max {STATISTICS} median any_value bool_and bool_or",
        "TEXT_AGGREGATE": "listagg",
        "ORDERED_AGGREGATE": "percentile_cont",
    },
    aggregate_calls=(
        "TEXT_AGGREGATE CALL DISTINCT? {plain} (COMMA STRING)? CLOSE (WITHIN_GROUP ordered_in{x} CLOSE)? over{x}?",
        "ORDERED_AGGREGATE CALL NUMBER CLOSE WITHIN_GROUP ordered_in{x} CLOSE over{x}?",
    ),
    types=f"integer|int|bigint|smallint|double precision|float|real|numeric{SIZED}|decimal{SIZED}|varchar{SIZED}"
    f"|char{SIZED}|text|boolean|bool|date|time|timestamp|timestamptz",
    keywords={
        **INTERVALS,
        "COMPARE": "-(=|<>|!=|<|<=|>|>=)-|-(~|!~)-",
        "ILIKE": "+(not+)?ilike+",
        "CAST_SIGN": "-::-",
        "QUALIFY": "+qualify+",
        "CAST": "(try_)?cast",
        "NOW": "current_date|current_timestamp",
        "UNIT": f"+({UNITS})",
        "SET_OPERATOR": "+(union(+all)?|intersect|except|minus)+",
        "ALL_OPEN": "(all|any|some)-\\(-",
        "WITHIN_GROUP": "-within+group-\\(-order+by+",
    },
    dates=(*DATES, "INTERVAL SPACE STRING UNIT?"),
    suffix="(CAST_SIGN TYPE)*",
    like="LIKE | ILIKE",
    filters=False,
    qualify=True,
    having_names=False,
)
# https://docs.aws.amazon.com/redshift/latest/dg/r_pg_keywords.html
RESERVED = """
aes128 aes256 all allowoverwrite analyse analyze and any array as asc authorization az64 backup between binary
blanksasnull both bytedict bzip2 case cast check collate column constraint create credentials cross current_date
current_time current_timestamp current_user current_user_id default deferrable deflate defrag delta delta32k desc
disable distinct do else emptyasnull enable encode encrypt encryption end except explicit false for foreign freeze
from full globaldict256 globaldict64k grant group gzip having identity ignore ilike in initially inner intersect
interval into is isnull join language leading left like limit localtime localtimestamp lun luns lzo lzop minus
mostly16 mostly32 mostly8 natural new not notnull null nulls off offline offset oid old on only open or order outer
overlaps parallel partition percent permissions pivot placing primary qualify raw readratio recover references
rejectlog resort respect restore right select session_user similar snapshot some sysdate system table tag tdes text255
text32k then timestamp to top trailing true truncatecolumns type union unique unnest unpivot user using verbose wallet
when where with without
"""
# Functions that may be called besides those of `execute.functions`.
FUNCTIONS = """
add_months decode decode_case charindex dateadd datediff getdate months_between sysdate
"""

CATALOGUE = Catalogue(
    columns="""
SELECT c.table_schema, c.table_name, c.column_name, UPPER(c.data_type), CASE c.is_nullable WHEN 'NO' THEN 1 ELSE 0 END,
    c.remarks, t.remarks
FROM svv_columns AS c JOIN svv_tables AS t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
WHERE c.table_schema NOT IN ('information_schema', 'pg_catalog', 'pg_internal', 'pg_automv')
ORDER BY c.table_schema, c.table_name, c.ordinal_position""",
    keys="""
SELECT k.table_schema, k.table_name, k.constraint_name, CASE t.constraint_type WHEN 'PRIMARY KEY' THEN 1 ELSE 0 END,
    k.column_name, u.table_schema, u.table_name, u.column_name
FROM information_schema.key_column_usage AS k
    JOIN information_schema.table_constraints AS t
        ON t.constraint_schema = k.constraint_schema AND t.constraint_name = k.constraint_name
    LEFT JOIN information_schema.referential_constraints AS r
        ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name
    LEFT JOIN information_schema.key_column_usage AS u ON u.constraint_schema = r.unique_constraint_schema
        AND u.constraint_name = r.unique_constraint_name AND u.ordinal_position = k.ordinal_position
WHERE t.constraint_type IN ('PRIMARY KEY', 'FOREIGN KEY')
ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position""",
    search_path="SELECT CURRENT_SCHEMA()",
    # A function of a user may have the name of one of Redshift's own, with other types of arguments.
    own_functions="""
SELECT DISTINCT p.proname FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_internal')""",
    short_types={"CHARACTER VARYING": "VARCHAR", "CHARACTER": "CHAR", "DOUBLE PRECISION": "DOUBLE"},
)
REDSHIFT = Engine(
    dialect="redshift",
    title="Amazon Redshift",
    schemes=("redshift",),
    forms=FORMS,
    reserved=frozenset(RESERVED.split()),
    catalogue=CATALOGUE,
    driver="redshift+redshift_connector",
    modules=("sqlalchemy", "redshift_connector", "sqlalchemy_redshift"),
    extra="redshift",
    attributes={"autocommit": True},  # the driver would open a transaction of its own, which can write
    session=("SET statement_timeout TO {milliseconds}", "BEGIN READ ONLY"),
    grace=15,
    functions=frozenset(FUNCTIONS.split()),
    own_tables=("stl_", "stv_", "svl_", "svv_", "svcs_"),
    dots_call=True,
)
