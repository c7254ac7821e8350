"""How a database is asked: the settings that the commands, the servers and `chaku.asker` share."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from chaku.sql.execute.runner import MAX_BYTES, MAX_ROWS, TIMEOUT

NUM_SAMPLES = 5
Select = Literal["vote", "csc", "tests"]


@dataclass(frozen=True, kw_only=True)
class AskSettings:
    """The arguments of `api.asker` with these names, which describes them."""

    num_samples: int = NUM_SAMPLES
    timeout: float = TIMEOUT
    max_rows: int = MAX_ROWS
    max_bytes: int = MAX_BYTES
    cache: bool = True
    send_values: bool = True
    log_sent: Path | None = None
    min_confidence: float = 0.0
    select: Select = "vote"
    max_cost: float | None = None
    embeddings: str | None = None
    embeddings_model: str = "default"

    @property
    def for_asker(self) -> dict[str, Any]:
        """The settings as arguments of `api.asker`, without those that a subclass adds."""
        return {field.name: getattr(self, field.name) for field in fields(AskSettings)}
