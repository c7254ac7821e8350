"""The catalogues of servers that are not installed, with the columns that their documentation names.

All of them describe one database: customers (id, name) and orders (id, customer_id, day) where queries find them by
their names, and visits (customer_id) in the schema `web`.
"""

from typing import Any

Rows = list[dict[str, Any]]
TABLES = {
    "customers": (("id", "int", True), ("name", "text", True)),
    "orders": (("id", "int", True), ("customer_id", "int", False), ("day", "date", False)),
    "visits": (("customer_id", "int", False),),
}
COMMENTS = {("customers", ""): "who buy", ("customers", "name"): "first and last"}


def columns(schemas: dict[str, str], **names: str) -> Rows:
    """A row for each column, from the dialect's own names of the same facts: names = {fact: column's name}."""
    rows = []
    for table, listed in TABLES.items():
        for place, (column, kind, not_null) in enumerate(listed, 1):
            facts = {
                "schema": schemas["web" if table == "visits" else "main"],
                "table": table,
                "column": column,
                "type": kind,
                "nullable": "NO" if not_null else "YES",
                "place": place,
                "comment": COMMENTS.get((table, column)),
            }
            rows.append({name: facts[fact] for fact, name in names.items()})
    return rows


STANDARD = {
    "schema": "table_schema", "table": "table_name", "column": "column_name", "type": "data_type",
    "nullable": "is_nullable", "place": "ordinal_position",
}  # fmt: skip


def upper(rows: Rows, *names: str) -> Rows:
    """The rows with the texts of some columns in capitals, as engines store names that have no quotes."""
    return [
        {key: cell.upper() if key in names and isinstance(cell, str) else cell for key, cell in row.items()}
        for row in rows
    ]


def sql_server() -> dict[str, Rows]:
    """https://learn.microsoft.com/en-us/sql/relational-databases/system-catalog-views/object-catalog-views-transact-sql"""
    schemas = {"dbo": 1, "web": 5}
    objects = {"customers": (901, 1), "orders": (902, 1), "visits": (903, 5), "syscommittab": (904, 1)}
    types = {"int": (56, "int"), "text": (231, "nvarchar"), "date": (40, "date")}
    ids = {(table, name): at for table, listed in TABLES.items() for at, (name, *_) in enumerate(listed, 1)}
    return {
        "sys.schemas": [{"name": name, "schema_id": number} for name, number in schemas.items()],
        "sys.objects": [
            {"object_id": number, "name": name, "schema_id": schema, "type": "U ".strip(),
             "is_ms_shipped": int(name == "syscommittab")}
            for name, (number, schema) in objects.items()
        ],
        "sys.types": [{"user_type_id": number, "name": name} for number, name in types.values()],
        "sys.columns": [
            {"object_id": objects[table][0], "name": name, "column_id": ids[table, name],
             "user_type_id": types[kind][0], "is_nullable": int(not not_null)}
            for table, listed in TABLES.items() for name, kind, not_null in listed
        ] + [{"object_id": 904, "name": "commit_ts", "column_id": 1, "user_type_id": 56, "is_nullable": 0}],
        "sys.security_predicates": [{"target_object_id": 902, "security_predicate_id": 1}],
        "sys.extended_properties": [
            {"class": 1, "major_id": objects[table][0], "minor_id": ids.get((table, name), 0),
             "name": "MS_Description", "value": text}
            for (table, name), text in COMMENTS.items()
        ],
        "sys.indexes": [
            {"object_id": 901, "index_id": 1, "name": "PK_customers", "is_primary_key": 1},
            {"object_id": 902, "index_id": 1, "name": "PK_orders", "is_primary_key": 1},
            {"object_id": 902, "index_id": 2, "name": "by_day", "is_primary_key": 0},
        ],
        "sys.index_columns": [
            {"object_id": 901, "index_id": 1, "column_id": 1, "key_ordinal": 1},
            {"object_id": 902, "index_id": 1, "column_id": 1, "key_ordinal": 1},
            {"object_id": 902, "index_id": 2, "column_id": 3, "key_ordinal": 1},
        ],
        "sys.foreign_keys": [
            {"object_id": 950, "name": "FK_orders", "parent_object_id": 902, "referenced_object_id": 901},
            {"object_id": 951, "name": "FK_visits", "parent_object_id": 903, "referenced_object_id": 901},
        ],
        "sys.foreign_key_columns": [
            {"constraint_object_id": 950, "constraint_column_id": 1, "parent_object_id": 902, "parent_column_id": 2,
             "referenced_object_id": 901, "referenced_column_id": 1},
            {"constraint_object_id": 951, "constraint_column_id": 1, "parent_object_id": 903, "parent_column_id": 1,
             "referenced_object_id": 901, "referenced_column_id": 1},
        ],
    }  # fmt: skip


def snowflake() -> dict[str, Rows]:
    """https://docs.snowflake.com/en/sql-reference/info-schema/columns and .../sql/show-imported-keys"""
    schemas = {"main": "public", "web": "web"}
    listed = columns(schemas, **STANDARD, comment="comment")
    listed.append({**listed[0], "table_schema": "information_schema", "table_name": "tables"})
    tables = [
        {"table_schema": schemas["web" if table == "visits" else "main"], "table_name": table,
         "comment": COMMENTS.get((table, ""))}
        for table in TABLES
    ]  # fmt: skip
    keys = [("public", "customers", "pk1", "id"), ("public", "orders", "pk2", "id")]
    foreign = [("public", "orders", "fk1"), ("web", "visits", "fk2")]
    names = ("table_schema", "table_name", "column_name", "data_type")
    capitals = lambda rows: [  # noqa: E731
        {key: cell.upper() if isinstance(cell, str) else cell for key, cell in row.items()} for row in rows
    ]
    return {
        "information_schema.columns": upper(listed, *names),
        "information_schema.tables": upper(tables, *names),
        "show primary keys in database": capitals(
            {"schema_name": schema, "table_name": table, "constraint_name": name, "column_name": column,
             "key_sequence": 1}
            for schema, table, name, column in keys
        ),
        "show imported keys in database": capitals(
            {"fk_schema_name": schema, "fk_table_name": table, "fk_name": name, "fk_column_name": "customer_id",
             "pk_schema_name": "public", "pk_table_name": "customers", "pk_column_name": "id", "key_sequence": 1}
            for schema, table, name in foreign
        ),
    }  # fmt: skip


def bigquery() -> dict[str, Rows]:
    """https://cloud.google.com/bigquery/docs/information-schema-columns and the pages beside it, in one dataset."""
    here = {"main": "shop", "web": "shop"}
    listed = [{**row, "is_hidden": "NO"} for row in columns(here, **STANDARD)]
    usage = [
        {"table_schema": "shop", "table_name": table, "constraint_name": f"{table}.{name}", "column_name": column,
         "ordinal_position": 1, "position_in_unique_constraint": place}
        for table, name, column, place in (
            ("customers", "pk$", "id", None), ("orders", "pk$", "id", None),
            ("orders", "fk$1", "customer_id", 1), ("visits", "fk$1", "customer_id", 1),
        )
    ]  # fmt: skip
    return {
        "information_schema.columns": listed,
        "information_schema.column_field_paths": [
            {"table_name": "customers", "column_name": "name", "field_path": "name", "description": "first and last"},
        ],
        "information_schema.table_options": [
            {"table_name": "customers", "option_name": "description", "option_value": '"who buy"'},
            {"table_name": "orders", "option_name": "labels", "option_value": "[]"},
        ],
        "information_schema.key_column_usage": usage,
        "information_schema.table_constraints": [
            {"constraint_name": row["constraint_name"],
             "constraint_type": "PRIMARY KEY" if row["constraint_name"].endswith("pk$") else "FOREIGN KEY"}
            for row in usage
        ],
        "information_schema.constraint_column_usage": [
            {"constraint_name": row["constraint_name"],
             "table_name": "customers" if "fk" in row["constraint_name"] else row["table_name"]}
            for row in usage
        ],
    }  # fmt: skip


def trino() -> dict[str, Rows]:
    """https://github.com/trinodb/trino: io.trino.connector.system.jdbc.ColumnJdbcTable names these columns."""
    schemas = {"main": "public", "web": "web"}
    listed = columns(
        schemas, schema="table_schem", table="table_name", column="column_name", type="type_name", nullable="nullable",
        place="ordinal_position", comment="remarks",
    )  # fmt: skip
    rows = [{**row, "table_cat": "shop", "nullable": int(row["nullable"] == "YES")} for row in listed]
    return {"system.jdbc.columns": [*rows, {**rows[0], "table_cat": "other", "table_name": "secret"}]}


def redshift() -> dict[str, Rows]:
    """https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_COLUMNS.html and the SQL standard's information schema."""
    schemas = {"main": "public", "web": "web"}
    keys = [
        ("public", "customers", "customers_pkey", "id", "PRIMARY KEY"),
        ("public", "orders", "orders_pkey", "id", "PRIMARY KEY"),
        ("public", "orders", "orders_fkey", "customer_id", "FOREIGN KEY"),
        ("web", "visits", "visits_fkey", "customer_id", "FOREIGN KEY"),
    ]
    return {
        "svv_columns": columns(schemas, **STANDARD, comment="remarks"),
        "svv_tables": [
            {"table_schema": schemas["web" if table == "visits" else "main"], "table_name": table,
             "remarks": COMMENTS.get((table, ""))}
            for table in TABLES
        ],
        "information_schema.key_column_usage": [
            {"table_schema": schema, "table_name": table, "constraint_schema": schema, "constraint_name": name,
             "column_name": column, "ordinal_position": 1}
            for schema, table, name, column, _ in keys
        ],
        "information_schema.table_constraints": [
            {"constraint_schema": schema, "constraint_name": name, "constraint_type": kind}
            for schema, _, name, _, kind in keys
        ],
        "information_schema.referential_constraints": [
            {"constraint_schema": schema, "constraint_name": name, "unique_constraint_schema": "public",
             "unique_constraint_name": "customers_pkey"}
            for schema, _, name, _, kind in keys if kind == "FOREIGN KEY"
        ],
    }  # fmt: skip


def oracle() -> dict[str, Rows]:
    """https://docs.oracle.com/en/database/oracle/oracle-database/19/refrn/ALL_TAB_COLUMNS.html and other pages."""
    schemas = {"main": "shop", "web": "web"}
    listed = columns(
        schemas, schema="owner", table="table_name", column="column_name", type="data_type", nullable="nullable",
        place="column_id",
    )  # fmt: skip
    rows = [{**row, "nullable": row["nullable"][0]} for row in listed]
    rows.append({**rows[0], "owner": "sys", "table_name": "aud$"})
    keys = [("shop", "customers", "c_pk", "P", None), ("shop", "orders", "o_pk", "P", None),
            ("shop", "orders", "o_fk", "R", "c_pk"), ("web", "visits", "v_fk", "R", "c_pk")]  # fmt: skip
    names = ("owner", "table_name", "column_name", "data_type")
    comments = [
        {"owner": "shop", "table_name": table, "column_name": name, "comments": text}
        for (table, name), text in COMMENTS.items()
    ]
    return {
        "all_users": [
            {"username": name, "oracle_maintained": kept} for name, kept in (("SHOP", "N"), ("WEB", "N"), ("SYS", "Y"))
        ],
        "all_tab_columns": upper(rows, *names),
        "all_col_comments": upper([row for row in comments if row["column_name"]], *names),
        "all_tab_comments": upper([row for row in comments if not row["column_name"]], *names),
        "all_constraints": upper(
            [{"owner": owner, "table_name": table, "constraint_name": name, "constraint_type": kind,
              "r_owner": "SHOP" if other else None, "r_constraint_name": other}
             for owner, table, name, kind, other in keys],
            *names,
        ),
        "all_cons_columns": upper(
            [{"owner": owner, "table_name": table, "constraint_name": name,
              "column_name": "id" if kind == "P" else "customer_id", "position": 1}
             for owner, table, name, kind, _ in keys],
            *names,
        ),
    }  # fmt: skip


# (dialect, URL, catalogue, functions of the session as DuckDB's text has them, the schema where queries find tables)
SERVERS = {
    "tsql": ("sqlserver://reader@db/shop", sql_server, {"SCHEMA_NAME()": "dbo"}),
    "snowflake": ("snowflake://reader:x@account/SHOP/PUBLIC", snowflake, {"CURRENT_SCHEMA()": "PUBLIC"}),
    "bigquery": ("bigquery://project/shop", bigquery, {}),
    "trino": ("trino://reader@db/shop/public", trino, {"CURRENT_SCHEMA": "public", "CURRENT_CATALOG": "shop"}),
    "redshift": ("redshift://reader:x@cluster/shop", redshift, {"CURRENT_SCHEMA()": "public"}),
    "oracle": (
        "oracle://reader:x@db/?service_name=shop",
        oracle,
        {"SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')": "SHOP"},
    ),
}
