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
def opened(db: str) -> "Iterator[tuple[Database, Knowledge]]":
    """A database with its schema and values."""
    from chaku.sql.execute.database import Database
    from chaku.sql.schema.knowledge import Knowledge, cache_path

    with Database(db) as database:
        yield database, Knowledge(database, cache=cache_path(database.name, database.place))


def glossary_file(database: "Database", named: Path | None) -> Path:
    """The glossary's file. Raises ChakuError for a database on a server whose glossary is not named."""
    from chaku.sql.glossary.file import glossary_path

    path = named or glossary_path(database)
    if path is None:
        raise ChakuError(f"name the glossary of {database.name}, as in --glossary {database.name}.glossary.toml")
    return path
