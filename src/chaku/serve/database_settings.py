"""How the operator's databases are asked."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chaku import api
from chaku.sql.ask.selection import Select

Connect = Callable[[asyncio.AbstractEventLoop], api.Model]  # makes the model, given the event loop of the requests


@dataclass(frozen=True)
class Asking:
    """How databases are asked. `max_waiting`: requests of one database that may wait. `remember`: clients may, too.

    `cache`: keep values of the databases on disk. `log_sent`: see `api.asker`. `glossaries`: files of words, by the
    name of their database. For the others see `Asker`.
    """

    num_samples: int = 5
    timeout: float = 10.0
    max_rows: int = 1_000
    max_bytes: int = 1_000_000
    max_waiting: int = 16
    remember: bool = False
    cache: bool = True
    send_values: bool = True
    log_sent: Path | None = None
    min_confidence: float = 0.0
    select: Select = "vote"
    max_cost: float | None = None
    embeddings: str | None = None
    embeddings_model: str = "default"
    glossaries: Mapping[str, Path] = field(default_factory=dict)
