"""`chaku sql remember`: a question with its right SQL, kept as an example."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from chaku.cli.shared.sql_asking import database_option, memory_of, memory_option
from chaku.cli.shared.verb import verb
from chaku.errors import ChakuError

if TYPE_CHECKING:
    from chaku.sql.ask.memory import Memory
    from chaku.sql.execute.runner import Result


@verb('chaku sql remember --db shop.sqlite "How many orders are there?" "SELECT count(*) FROM orders"')
@click.argument("question", help="The question.")
@click.argument("query", help="Its right query, which must run.")
@database_option()
@memory_option()
def sql_remember(question: str, query: str, db: str, memory: Path | None) -> None:
    """Keep a question with its right SQL as an example for later questions."""
    from chaku.sql.execute.database import Database

    with Database(db) as database:
        kept = memory_of(database, memory)
        remember(kept, question, query, database.run(query, schema=database.schema), database.name)
        print(kept.path)


def remember(memory: "Memory", question: str, query: str, result: "Result", name: str) -> None:
    """Keep a pair whose query ran. Raises ChakuError when its `result` says that it did not."""
    if not result.ok:
        raise ChakuError(f"not remembered, as the query does not run: {result.reason}")
    memory.remember(question, query, name)
