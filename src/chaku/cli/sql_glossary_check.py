"""`chaku sql glossary check`: the mistakes in a glossary."""

from pathlib import Path

from chaku.cli.shared.sql_asking import database_option, glossary_option
from chaku.cli.shared.sql_glossaries import glossary_file, opened
from chaku.cli.shared.verb import verb


@verb("chaku sql glossary check --db shop.sqlite")
@database_option()
@glossary_option()
def sql_glossary_check(db: str, glossary: Path | None) -> int:
    """Compare a glossary with its database: exit status 1 if it names what does not exist."""
    from chaku.sql.glossary.check import check_glossary
    from chaku.sql.glossary.file import load_glossary

    with opened(db, glossary) as (database, knowledge):
        path = glossary_file(database, glossary)
        words = load_glossary(path)
        mistakes = check_glossary(words, knowledge.schema, knowledge.values, database.is_unique)
    for mistake in mistakes:
        print(mistake)
    if not mistakes:
        print(f"{path} fits {database.name}: {len(words.tables)} tables, {len(words.metrics)} metrics")
    return 1 if mistakes else 0
