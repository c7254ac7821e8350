"""Finds whether a table has changed since its values were read, without reading the values again."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chaku.sql.execute.database import Database
    from chaku.sql.schema.definition import Schema

Stamps = dict[str, str | None]  # table name -> stamp; None: a change of the table cannot be detected

# The stamp has the numbers of rows written since the statistics began, and the table's file, which TRUNCATE replaces. A
# view or a partitioned table may change with any table. Changes of a foreign table cannot be detected.
_POSTGRES = """
SELECT n.nspname, c.relname, c.relkind::text,
    concat_ws('-', c.oid, c.relfilenode, s.n_tup_ins, s.n_tup_upd, s.n_tup_del)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""
# The time of the last change, if the server knows it; it counts in whole seconds.
_MYSQL = """
SELECT table_schema, table_name, CASE table_type WHEN 'VIEW' THEN 'v' ELSE 'r' END,
    CASE WHEN update_time < now() - INTERVAL 2 SECOND THEN concat_ws(' ', create_time, update_time) END
FROM information_schema.tables WHERE table_schema = DATABASE()
"""


def change_stamps(database: "Database", schema: "Schema") -> Stamps:
    """A stamp for each table, which differs after a change of the table. All tables of a file share one stamp."""
    if database.dialect in ("sqlite", "duckdb"):
        return dict.fromkeys((table.name for table in schema.tables), file_stamp(Path(database.location)))
    query = _POSTGRES if database.dialect == "postgres" else _MYSQL
    rows = database.run_unchecked(query, max_rows=1_000_000).rows
    own = {(namespace, name): (kind, stamp) for namespace, name, kind, stamp in rows}
    tables = [stamp for kind, stamp in own.values() if kind in "rm"]
    known = None not in tables and "f" not in {kind for kind, _ in own.values()}
    any_change = hashlib.sha256("\n".join(sorted(map(str, tables))).encode()).hexdigest() if known and tables else None
    stamps: Stamps = {}
    for table in schema.tables:
        places = [table.namespace] if table.namespace else schema.search_path
        found = next((own[place, table.bare_name] for place in places if (place, table.bare_name) in own), ("f", None))
        kind, stamp = found
        stamps[table.name] = stamp if kind in "rm" else any_change if kind in "vp" else None
    return stamps


def file_stamp(path: Path) -> str:
    """The stamp of a database file and its write-ahead log; SQLite counts transactions at byte 24."""
    parts = []
    for file in (path, Path(f"{path}-wal"), Path(f"{path}.wal")):
        if file.is_file():
            status = file.stat()
            with file.open("rb") as opened:
                parts.append(f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}-{opened.read(28)[24:].hex()}")
    return " ".join(parts)
