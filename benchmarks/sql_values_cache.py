"""What a second `chaku sql ask` saves: the schema and values of a wide SQLite file read once, and again.

python benchmarks/sql_values_cache.py [--tables 1000]
"""

import argparse
import sqlite3
import tempfile
import time
from pathlib import Path

from chaku.sql.execute.database import Database
from chaku.sql.schema import knowledge

TEXT_COLUMNS, NUMBER_COLUMNS, ROWS = 4, 5, 50  # of a table


def main() -> None:
    """Print the seconds of both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=1000)
    num_tables = parser.parse_args().tables
    knowledge.READ_SECONDS = 3600.0  # all of it, however slow
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wide.sqlite"
        _write(path, num_tables)
        with Database(str(path)) as database:
            for name in ("first", "second"):
                started = time.monotonic()
                known = knowledge.Knowledge(database, cache=Path(folder) / "cache.json")
                print(f"{name}: {time.monotonic() - started:.1f} s, {len(known.values.places):,} values")


def _write(path: Path, num_tables: int) -> None:
    connection = sqlite3.connect(path)
    for table in range(num_tables):
        columns = [f"name_{table}_{number} TEXT" for number in range(TEXT_COLUMNS)]
        columns += [f"number_{number} INTEGER" for number in range(NUMBER_COLUMNS)]
        connection.execute(f"CREATE TABLE t{table} ({', '.join(columns)})")
        marks = ", ".join("?" * len(columns))
        rows = [
            [*(f"value {table} {row} {number}" for number in range(TEXT_COLUMNS)), *range(NUMBER_COLUMNS)]
            for row in range(ROWS)
        ]
        connection.executemany(f"INSERT INTO t{table} VALUES ({marks})", rows)
    connection.commit()
    connection.close()


if __name__ == "__main__":
    main()
