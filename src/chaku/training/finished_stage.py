"""`stage.json`: the record of a finished training stage, beside its weights."""

from dataclasses import dataclass
from typing import Any

from chaku.record import Record

STAGE_FILE = "stage.json"


@dataclass(frozen=True)
class ReplyRows:
    """The rows of a set of conversations or pairs. `too_long`: left out, since they are longer than a sequence.

    `left_out`: the number of unusable rows by reason. `held_out`: rows that are not in `rows`, for the held-out loss.
    """

    rows: int
    too_long: int
    tokens: int
    left_out: dict[str, int] | None = None
    held_out: int = 0


@dataclass(frozen=True)
class FinishedStage(Record):
    """The content of stage.json. `config`, `model`: the stage's and the model's settings, by their names at that time.

    `fingerprint`: the hash of the stage's inputs. `conversations`: by the name of the set.
    """

    WHAT = "the record of a finished stage"
    name: str
    parent: str | None
    config: dict[str, Any]
    model: dict[str, Any]
    num_parameters: int
    seed: int
    tokens: int
    steps: int
    seconds: float
    fingerprint: str
    weights_sha256: str
    versions: dict[str, str]
    conversations: dict[str, ReplyRows] | None = None
