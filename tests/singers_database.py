"""A database of two tables, small enough to see its results by eye."""

import sqlite3
from contextlib import closing
from pathlib import Path

SINGERS = """
CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT, country TEXT, age INTEGER);
CREATE TABLE song (id INTEGER PRIMARY KEY, singer_id INTEGER REFERENCES singer(id), title TEXT, year INTEGER);
INSERT INTO singer VALUES (1, 'Ana', 'Peru', 30), (2, 'Ben', 'France', 41), (3, 'Cleo', 'Peru', 30),
  (4, 'Dai', 'Japan', 25);
INSERT INTO song VALUES (1, 1, 'Sun', 2001), (2, 1, 'Moon', 2005), (3, 2, 'Sun', 2010), (4, 3, 'Rain', 2001);
"""


def write_database(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path
