"""The operator's databases by name, and the model that answers questions about them."""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chaku import api
from chaku.errors import ChakuError
from chaku.serve.database_settings import Asking, Connect
from chaku.serve.desk import Desk
from chaku.serve.fields import Refusal
from chaku.serve.generator import ServiceGenerator
from chaku.serve.service import TextService
from chaku.sql.ask.selection import check_choice
from chaku.sql.execute.database import Database

MAX_THREADS = 8  # databases that work at one time


def open_databases(named: Sequence[str]) -> dict[str, Database]:
    """Databases by name, from NAME=URL, or a URL or path alone, which gives the name itself.

    Raises ChakuError for a database that does not exist, for two of one name, and for one under two names.
    """
    databases: dict[str, Database] = {}
    for text in named:
        match = re.fullmatch(r"([\w.-]+)=(.+)", text)
        database = Database(match[2] if match else text)
        name = match[1] if match else database.name
        if name in databases:
            raise ChakuError(f"two databases are called {name}; name them: --db NAME={text}")
        if twin := next((other for other, opened in databases.items() if opened.place == database.place), None):
            raise ChakuError(f"{twin} and {name} are one database; give it once")
        databases[name] = database
    return databases


def from_service(service: TextService, path: Path) -> Connect:
    """Makes models that write through a service; `path`: the model's checkpoint."""
    return lambda loop: api.Model(ServiceGenerator(service, loop), path)


class Databases:
    """Databases by name, and the model that answers questions about them.

    `connect`: makes the model, given the event loop of the requests. A database that is away is tried again for every
    request.
    """

    def __init__(self, databases: Mapping[str, Database], connect: Connect, asking: Asking | None = None):
        self.asking = asking or Asking()
        if wrong := [name for name in self.asking.glossaries if name not in databases]:
            raise ChakuError(
                f"--glossary {wrong[0]}=...: there is no database {wrong[0]}; give {' or '.join(databases)}"
            )
        for database in databases.values():
            check_choice(self.asking.select, self.asking.max_cost, self.asking.num_samples, database.dialect)
        self._pool = ThreadPoolExecutor(min(len(databases), MAX_THREADS), "database")
        self._desks = {
            name: Desk(name, database, connect, self._pool, self.asking) for name, database in databases.items()
        }

    def __iter__(self) -> "Iterator[Desk]":
        return iter(self._desks.values())

    def find(self, name: str | None) -> "Desk":
        """A database by its name; a single database needs none. Raises Refusal."""
        if not name and len(self._desks) == 1:
            return next(iter(self))
        there = " or ".join(self._desks)
        if not name:
            raise Refusal(400, f"name the database: {there}", "database")
        if name not in self._desks:
            raise Refusal(404, f"there is no database {name[:100]!r}; give {there}", "database")
        return self._desks[name]

    async def close(self) -> None:
        """End all work, and close the databases."""
        await asyncio.gather(*(desk.close() for desk in self))
        self._pool.shutdown()
