"""Finds whether a table has changed since its values were read, without reading the values again."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from chaku.sql.engines.known import ENGINES

if TYPE_CHECKING:
    from chaku.sql.execute.database import Database
    from chaku.sql.schema.definition import Schema

Stamps = dict[str, str | None]  # table name -> stamp; None: a change of the table cannot be detected


def change_stamps(database: "Database", schema: "Schema") -> Stamps:
    """A stamp for each table, which differs after a change of the table. All tables of a file share one stamp.

    The rows of the engine's query have a kind: r for a table, m for a view that is stored, v for a view and p for a
    partitioned table, which may change with any table, another letter for a table whose changes cannot be detected.
    """
    engine = ENGINES[database.dialect]
    if engine.is_file:
        return dict.fromkeys((table.name for table in schema.tables), file_stamp(Path(database.location)))
    if not (engine.catalogue and engine.catalogue.stamps):
        return dict.fromkeys((table.name for table in schema.tables), f"{datetime.now(UTC):%Y-%m-%d}")
    rows = database.run_unchecked(database.named(engine.catalogue.stamps), max_rows=1_000_000).rows
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
