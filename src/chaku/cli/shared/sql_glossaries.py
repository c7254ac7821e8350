"""What the commands of `chaku sql glossary` share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chaku.errors import ChakuError

if TYPE_CHECKING:
    from chaku.sql.execute.database import Database
    from chaku.sql.schema.knowledge import Knowledge


@contextmanager
def opened(db: str, glossary: Path | None = None) -> "Iterator[tuple[Database, Knowledge]]":
    """A database with its schema and values, but for the columns that its glossary calls private.

    `glossary`: the glossary's file, which need not exist yet; without it, the database's own.
    """
    from chaku.sql.execute.database import Database
    from chaku.sql.glossary.find import find_glossary
    from chaku.sql.schema.knowledge import Knowledge, cache_path

    with Database(db) as database:
        words = find_glossary(database, glossary if glossary and glossary.is_file() else None)
        cache = cache_path(database.name, database.place)
        yield database, Knowledge(database, cache=cache, private=words.private if words else frozenset())


def glossary_file(database: "Database", named: Path | None) -> Path:
    """The glossary's file. Raises ChakuError for a database on a server whose glossary is not named."""
    from chaku.sql.glossary.find import glossary_path

    path = named or glossary_path(database)
    if path is None:
        raise ChakuError(f"name the glossary of {database.name}, as in --glossary {database.name}.glossary.toml")
    return path
