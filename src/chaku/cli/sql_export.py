"""`chaku sql export`: remembered questions as training data."""

from pathlib import Path

import click

from chaku.cli.shared.options import PATH
from chaku.cli.shared.sql_asking import database_option, memory_of, memory_option
from chaku.cli.shared.verb import verb


@verb("chaku sql export --db shop.sqlite --out pairs.jsonl")
@database_option()
@memory_option()
@click.option("--out", type=PATH, required=True, help="The JSONL file to write, which `chaku sql prepare` reads.")
def sql_export(db: str, memory: Path | None, out: Path) -> None:
    """Write the remembered pairs as training data."""
    from chaku.sql.execute.database import Database

    with Database(db) as database:
        print(f"{memory_of(database, memory).export(out)} pairs written to {out}")
