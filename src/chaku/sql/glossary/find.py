"""Finds the glossary of a database: the file that is named, the file beside a database file, or the last one used.

Which glossary a database on a server has is written down when it is named, so that every later command finds it, and
no private column becomes readable because an option was left out. The same holds for a database file whose glossary
marks private columns: when the glossary is gone, commands end and say so.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chaku.console import say
from chaku.errors import ChakuError
from chaku.files import read_json, write_json
from chaku.sql.ask.memory import memory_path
from chaku.sql.glossary.file import SUFFIX, Glossary, load_glossary

if TYPE_CHECKING:
    from chaku.sql.execute.database import Database

SHOWN = 3  # private columns in a message


@dataclass(frozen=True)
class Used:
    """The glossary that a database had when it was last read: its file, and its private columns as "table.column"."""

    path: Path
    private: tuple[str, ...]


def beside(database: "Database") -> Path | None:
    """The glossary file beside a database file, whether it exists or not; None for a database on a server."""
    if not database.engine.is_file:
        return None
    return Path(database.location).with_suffix(SUFFIX)


def glossary_path(database: "Database") -> Path | None:
    """The glossary file of a database that needs no name: beside its file, or the one that was used last."""
    if (path := beside(database)) and path.is_file():
        return path
    used = last_used(database)
    return used.path if used else path


def find_glossary(database: "Database", named: Path | None = None) -> Glossary | None:
    """The glossary in the file `named`, or else beside the database, or else used last; None if there is none.

    Raises ChakuError for a glossary with a mistake, and where the glossary that was used last marks private columns and
    is gone. Prints a line if columns are no longer private.
    """
    used = last_used(database)
    path = named or glossary_path(database)
    if path is None or (named is None and used is None and not path.is_file()):
        return None
    if named is None and used and not path.is_file():
        if used.private:
            raise ChakuError(
                f"the glossary {used.path} of {database.name} is gone, and it kept {_some(used.private)} private: put "
                f"it back, name another with --glossary, or delete {record_path(database)} to go on without"
            )
        return None
    found = load_glossary(path)
    private = tuple(sorted(f"{table}.{column}" for table, column in found.private))
    if used and (lost := sorted(set(used.private) - set(private))):
        say(f"{_some(lost)} of {database.name} was private, and is not in the glossary {path}")
    if private or not database.engine.is_file or used:
        _remember(database, Used(path.resolve(), private))
    return found


def last_used(database: "Database") -> Used | None:
    """The glossary that was used last; None if none is written down. Raises ChakuError for a broken record."""
    record = record_path(database)
    if not record.is_file():
        return None
    stored = read_json(record)
    try:
        return Used(Path(stored["glossary"]), tuple(map(str, stored["private"])))
    except (TypeError, LookupError):
        raise ChakuError(f"{record} does not name a glossary; name it with --glossary, or delete the file") from None


def record_path(database: "Database") -> Path:
    """The file that says which glossary a database has. It is the same for every user and password in the URL."""
    return memory_path(database.name, _place(database)).with_suffix(".glossary.json")


def _place(database: "Database") -> str:
    if database.engine.is_file:
        return database.place
    parts = urlsplit(database.location)
    host = parts.netloc.rpartition("@")[2].lower()
    return f"glossary of {database.dialect} {host}{parts.path}"


def _remember(database: "Database", used: Used) -> None:
    if used == last_used(database):
        return
    record = record_path(database)
    try:
        write_json(record, {"glossary": str(used.path), "private": [*used.private]})
    except (OSError, ChakuError) as error:
        say(f"{record} cannot be written, so later commands must name the glossary: {error}")


def _some(names: "tuple[str, ...] | list[str]") -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
