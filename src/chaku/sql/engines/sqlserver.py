"""SQL Server: see https://learn.microsoft.com/en-us/sql/t-sql/. Not run against a real server."""

from chaku.sql.engines.engine import Catalogue, Engine, Forms
from chaku.sql.engines.standard import SIZED

FORMS = Forms(
    functions={
        "": "getdate sysdatetime getutcdate",
        "e": "abs lower upper len sign ceiling floor sqrt exp log10 square reverse trim ltrim rtrim year month day"
        " isnumeric datalength",
        "ee?": "log eomonth",
        "ee": "nullif isnull power round left right replicate patindex",
        "eee": "replace iif substring datefromparts",
        "eee?": "charindex",
        "eee*": "coalesce greatest least concat_ws choose",
        "ee*": "concat",
        "es": "format",
        "ue": "datename datepart datetrunc",
        "uee": "datediff dateadd",
    },
    aggregates={
        "AGGREGATE": "sum avg min max stdev stdevp var varp",
        "TEXT_AGGREGATE": "string_agg",
        "ORDERED_AGGREGATE": "percentile_cont percentile_disc",
    },
    aggregate_calls=(
        "TEXT_AGGREGATE CALL {plain} COMMA STRING CLOSE (WITHIN_GROUP ordered_in{x} CLOSE)?",
        "ORDERED_AGGREGATE CALL NUMBER CLOSE WITHIN_GROUP ordered_in{x} CLOSE over{x}",
    ),
    types=f"int|bigint|smallint|tinyint|bit|decimal{SIZED}|numeric{SIZED}|float|real|money|date|time|datetime|datetime2"
    r"|n?varchar(\(([0-9]{1,4}|max)\))?|n?char(\([0-9]{1,4}\))?",
    keywords={
        "FIELD": "year|quarter|month|week|dayofyear|weekday|day|hour|minute|second",
        "ADD": "-(\\+|\\-)-",
        "CAST": "(try_)?cast",
        "NOW": "current_timestamp",
        "ALL_OPEN": "(all|any|some)-\\(-",
        "WITHIN_GROUP": "-within+group-\\(-order+by+",
        "COUNT": "count|count_big",
        "TOP": "top+[0-9]{1,9}+|top-\\(-[0-9]{1,9}-\\)+",
        "ROWS": "+rows",
        "FETCH": "+fetch+(next|first)+",
        "ROWS_ONLY": "+rows+only",
        "IS_NULL": "+is+(not+)?null",
        "BOOLEAN": "",
        "LIMIT": "",
        "RECURSIVE": "",
    },
    limit="OFFSET INTEGER ROWS (FETCH INTEGER ROWS_ONLY)?",
    top=True,
    filters=False,
    nulls=False,
    using=False,
    tuples=False,
    group_by_names=False,
    having_names=False,
)
# https://learn.microsoft.com/en-us/sql/t-sql/language-elements/reserved-keywords-transact-sql
RESERVED = """
add all alter and any as asc authorization backup begin between break browse bulk by cascade case check checkpoint
close clustered coalesce collate column commit compute constraint contains containstable continue convert create cross
current current_date current_time current_timestamp current_user cursor database dbcc deallocate declare default
delete deny desc disk distinct distributed double drop dump else end errlvl escape except exec execute exists exit
external fetch file fillfactor for foreign freetext freetexttable from full function goto grant group having holdlock
identity identity_insert identitycol if in index inner insert intersect into is join key kill left like lineno load
merge national nocheck nonclustered not null nullif of off offsets on open opendatasource openquery openrowset openxml
option or order outer over percent pivot plan precision primary print proc procedure public raiserror read readtext
reconfigure references replication restore restrict return revert revoke right rollback rowcount rowguidcol rule save
schema securityaudit select session_user set setuser shutdown some statistics system_user table tablesample textsize
then to top tran transaction trigger truncate tsequal union unique unpivot update updatetext use user values varying
view waitfor when where while with writetext
"""
# Functions that may be called besides those of `execute.functions`.
FUNCTIONS = """
charindex choose datalength datefromparts datename datepart datetrunc eomonth getdate getutcdate isnumeric patindex
replicate square stdev stdevp sysdatetime var varp
"""

CATALOGUE = Catalogue(
    columns="""
SELECT s.name, o.name, c.name, UPPER(t.name), 1 - c.is_nullable, CAST(p.value AS VARCHAR(500)),
    CAST(q.value AS VARCHAR(500))
FROM sys.columns AS c JOIN sys.objects AS o ON o.object_id = c.object_id
    JOIN sys.schemas AS s ON s.schema_id = o.schema_id
    JOIN sys.types AS t ON t.user_type_id = c.user_type_id
    LEFT JOIN sys.extended_properties AS p
        ON p.class = 1 AND p.major_id = c.object_id AND p.minor_id = c.column_id AND p.name = 'MS_Description'
    LEFT JOIN sys.extended_properties AS q
        ON q.class = 1 AND q.major_id = c.object_id AND q.minor_id = 0 AND q.name = 'MS_Description'
WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0
ORDER BY s.name, o.name, c.column_id""",
    keys="""
SELECT x.space, x.holder, x.key_name, x.is_primary, x.column_name, x.other_space, x.other, x.other_column
FROM (
    SELECT s.name AS space, o.name AS holder, k.name AS key_name, 1 AS is_primary, c.name AS column_name,
        NULL AS other_space, NULL AS other, NULL AS other_column, i.key_ordinal AS place
    FROM sys.indexes AS k JOIN sys.objects AS o ON o.object_id = k.object_id
        JOIN sys.schemas AS s ON s.schema_id = o.schema_id
        JOIN sys.index_columns AS i ON i.object_id = k.object_id AND i.index_id = k.index_id
        JOIN sys.columns AS c ON c.object_id = i.object_id AND c.column_id = i.column_id
    WHERE k.is_primary_key = 1
    UNION ALL
    SELECT s.name, o.name, k.name, 0, c.name, rs.name, r.name, rc.name, f.constraint_column_id
    FROM sys.foreign_keys AS k JOIN sys.objects AS o ON o.object_id = k.parent_object_id
        JOIN sys.schemas AS s ON s.schema_id = o.schema_id
        JOIN sys.objects AS r ON r.object_id = k.referenced_object_id
        JOIN sys.schemas AS rs ON rs.schema_id = r.schema_id
        JOIN sys.foreign_key_columns AS f ON f.constraint_object_id = k.object_id
        JOIN sys.columns AS c ON c.object_id = f.parent_object_id AND c.column_id = f.parent_column_id
        JOIN sys.columns AS rc ON rc.object_id = f.referenced_object_id AND rc.column_id = f.referenced_column_id
) AS x
ORDER BY x.space, x.holder, x.key_name, x.place""",
    search_path="SELECT SCHEMA_NAME()",
    hidden_rows="""
SELECT DISTINCT s.name, o.name
FROM sys.security_predicates AS p JOIN sys.objects AS o ON o.object_id = p.target_object_id
    JOIN sys.schemas AS s ON s.schema_id = o.schema_id""",
)
SQLSERVER = Engine(
    dialect="tsql",
    title="SQL Server",
    schemes=("sqlserver", "mssql"),
    forms=FORMS,
    reserved=frozenset(RESERVED.split()),
    catalogue=CATALOGUE,
    driver="mssql+pymssql",
    modules=("sqlalchemy", "pymssql"),
    extra="sqlserver",
    only_role=True,
    # The server has no read-only transaction: an open transaction is rolled back. `read_only` asks for a replica.
    session=("SET LOCK_TIMEOUT {milliseconds}", "SET QUOTED_IDENTIFIER ON", "SET ANSI_NULLS ON"),
    connect={"timeout": "{seconds}", "login_timeout": 15, "read_only": True, "autocommit": False},
    grace=15,
    quotes=("[", "]"),
    first_rows="SELECT {distinct}TOP ({count}) {rest}",
    functions=frozenset(FUNCTIONS.split()),
)
