"""What 10,000 tables cost: reading a SQLite file for the first and the second command, and a question without a model.

    python benchmarks/large_schema.py --tables 10000

A writer that writes one fixed query stands in for the model. `first`: nothing is cached. `second`: another command with
the cache. Seconds are those of the processor, without the process that reads the database; the memory is the peak of
this process so far.
"""

import argparse
import random
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from chaku.sql.ask.asker import Asker
from chaku.sql.ask.prompt import Form, estimate_tokens
from chaku.sql.ask.writer import Asked
from chaku.sql.execute.database import Database
from chaku.sql.schema.definition import Schema
from chaku.sql.schema.knowledge import Knowledge

_NOUNS = """agent alert asset audit batch branch claim contract customer driver employee invoice item loan machine order
part payment policy price product region route salary sensor session shipment store supplier ticket vehicle vendor"""
NOUNS = _NOUNS.split()
QUESTION = "How many claims of the policy 5 were there in the branch Lyon?"


class Fixed:
    """A writer of one query."""

    max_prompt_tokens = 6000
    form: Form = "ddl"

    def __init__(self, query: str):
        self.query = query

    def count_tokens(self, text: str) -> int:
        return estimate_tokens(text)

    def write(self, asked: Sequence[Asked], num_samples: int) -> list[list[str]]:
        return [[self.query] * num_samples for _ in asked]

    def write_each(self, prompt: str, schema: Schema, num_samples: int) -> Iterator[tuple[int, str]]:
        yield from ((number, self.query) for number in range(num_samples))


def main() -> None:
    """Print the seconds and the memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=10_000)
    num_tables = parser.parse_args().tables
    with tempfile.TemporaryDirectory() as folder:
        path, cache = Path(folder) / "large.sqlite", Path(folder) / "cache.json"
        write_large(path, num_tables)
        with Database(str(path)) as database:
            for name in ("first", "second"):
                started = time.process_time()
                known = Knowledge(database, cache=cache)
                show(f"{name}: schema and {len(known.values.places):,} values", started)
            asker = Asker(database, Fixed("SELECT count(*) FROM claim_0"), knowledge=known)
            for name in ("the first question", "a later question", "a later question"):
                started = time.process_time()
                answer = asker.ask(QUESTION)
                show(f"{name}: {len(answer.tables)} tables shown, {answer.refusal or 'answered'}", started)


def show(what: str, started: float) -> None:
    """Print the seconds of the processor, and the peak memory."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what}: {time.process_time() - started:.2f} s, {memory:,.0f} MiB", flush=True)


def write_large(path: Path, num_tables: int, rows: int = 5) -> None:
    """A SQLite file with tables of 9 columns, 4 of them texts."""
    draw = random.Random(0)
    connection = sqlite3.connect(path)
    for number in range(num_tables):
        name = f"{NOUNS[number]}_0" if number < len(NOUNS) else f"{draw.choice(NOUNS)}_{draw.choice(NOUNS)}_{number}"
        texts = [f"{draw.choice(NOUNS)}_{kind}" for kind in ("name", "code", "town", "note")]
        numbers = [f"{draw.choice(NOUNS)}_{column}" for column in range(3)]
        parent = f", parent INTEGER REFERENCES {NOUNS[number % len(NOUNS)]}_0 (id)"
        columns = [*(f"{text} TEXT" for text in texts), *(f"{column} INTEGER" for column in numbers)]
        connection.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, {', '.join(columns)}{parent})")
        values = [
            [row, *(f"{draw.choice(NOUNS)} {kind} {number} {row}" for kind in texts), *range(3), 1]
            for row in range(rows)
        ]
        connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * 9)})", values)
    connection.commit()
    connection.close()


if __name__ == "__main__":
    main()
