"""`chaku sql glossary init`: a first glossary of a database."""

from pathlib import Path

from chaku.cli.shared.sql_asking import database_option, glossary_option
from chaku.cli.shared.sql_glossaries import glossary_file, opened
from chaku.cli.shared.verb import verb
from chaku.errors import ChakuError


@verb("chaku sql glossary init --db shop.sqlite")
@database_option()
@glossary_option()
def sql_glossary_init(db: str, glossary: Path | None) -> None:
    """Write a first glossary from a database's tables, comments and values, for you to add your words to."""
    from chaku.sql.glossary.file import write_glossary
    from chaku.sql.glossary.find import find_glossary
    from chaku.sql.glossary.init import first_glossary

    with opened(db, glossary) as (database, knowledge):
        path = glossary_file(database, glossary)
        if path.exists():
            raise ChakuError(f"{path} exists; name another file with --glossary, or remove it")
        write_glossary(path, first_glossary(knowledge.schema, knowledge.values))
        find_glossary(database, path)  # later commands need not name it
        print(path)
