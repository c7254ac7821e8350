"""`chaku sql remember`: a question with its right SQL, kept as an example."""

from pathlib import Path

import click

from chaku.cli.shared.sql_asking import database_option, glossary_option, memory_of, memory_option
from chaku.cli.shared.verb import verb


@verb('chaku sql remember --db shop.sqlite "How many orders are there?" "SELECT count(*) FROM orders"')
@click.argument("question", help="The question.")
@click.argument("query", help="Its right query, which must run.")
@database_option()
@memory_option()
@glossary_option()
def sql_remember(question: str, query: str, db: str, memory: Path | None, glossary: Path | None) -> None:
    """Keep a question with its right SQL as an example for later questions."""
    from chaku.sql.execute.database import Database
    from chaku.sql.glossary.find import find_glossary
    from chaku.sql.schema.private import mark_private

    with Database(db) as database:
        kept, words = memory_of(database, memory), find_glossary(database, glossary)
        schema = mark_private(database.schema, words.private if words else frozenset())
        kept.remember_run(question, query, database.run(query, schema=schema), database.name)
        print(kept.path)
