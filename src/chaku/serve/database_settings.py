"""How the operator's databases are asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from chaku.sql.ask.settings import AskSettings

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from chaku import api

# Makes the model, given the event loop of the requests.
Connect: TypeAlias = "Callable[[asyncio.AbstractEventLoop], api.Model]"


@dataclass(frozen=True, kw_only=True)
class Asking(AskSettings):
    """How databases are asked. `max_waiting`: requests of one database that may wait. `remember`: clients may, too.

    `glossaries`: files of words, by the name of their database.
    """

    max_rows: int = 1_000
    max_bytes: int = 1_000_000
    max_waiting: int = 16
    remember: bool = False
    glossaries: Mapping[str, Path] = field(default_factory=dict)
