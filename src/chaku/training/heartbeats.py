"""Names the rank that hangs or is gone, and lets only one rank say why a run ends."""

import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from types import TracebackType
from typing import Any

import torch.distributed as dist

from chaku.console import short, warn
from chaku.errors import ChakuError, EndedElsewhere

PERIOD = 2.0  # seconds between two reports of a rank
SILENCE = 3  # a rank without a report for this many periods does not answer
SHOWN = 8  # ranks named in one message
TRACE = "TORCH_FR_DUMP_TEMP_FILE"  # the variable that says where torch's flight recorder writes


class LostContact(ChakuError):
    """A collective failed, because another rank hangs or is gone. The text names that rank."""


@dataclass(frozen=True)
class Beat:
    """A rank's last report. `moves` counts its moves within the stage; equal places have equal counts on all ranks.

    `moved` and `seen`: the wall-clock times of its last move and of this report, in seconds.
    """

    rank: int
    host: str
    place: str
    moves: int
    moved: float
    seen: float


class Heartbeats(AbstractContextManager["Heartbeats"]):
    """While a stage trains, every rank reports its place to the process group's store.

    A collective waits for at most `timeout`. When it fails, one rank raises LostContact, which names the ranks that
    stand still or are gone; the others raise EndedElsewhere. NCCL ends the process at the timeout, without an
    exception, so rank 0 also prints these names after half the timeout. `store_is_gone`: with the launcher or the
    machine that held it; then all ranks had better stop and save, since they could not begin another stage.
    """

    store_is_gone = False

    def __init__(self, timeout: timedelta):
        self._on = dist.is_initialized() and dist.get_world_size() > 1
        if not self._on:
            return
        self._timeout = timeout
        self._store = _store().clone()  # a store serves one thread
        now = time.time()
        self._beat = Beat(dist.get_rank(), socket.gethostname(), "the beginning of the stage", 0, now, now)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._report, daemon=True)

    def move(self, place: str) -> None:
        """Note where this rank is now: "step 18, reading its batch". All ranks must pass the same places."""
        if self._on:
            self._beat = replace(self._beat, place=place, moves=self._beat.moves + 1, moved=time.time())

    def __enter__(self) -> "Heartbeats":
        if self._on:
            for group in list(dist.distributed_c10d._world.pg_map):
                dist.distributed_c10d._set_pg_timeout(self._timeout, group)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._on:
            return
        try:
            if error is not None and is_lost_contact(error):
                raise self._explain(error) from error
        finally:
            self._stop.set()
            self._thread.join()

    def _report(self) -> None:
        warned = -1
        try:
            while True:
                now = time.time()
                own = replace(self._beat, seen=now)
                self._store.set(_key(own.rank), json.dumps(asdict(own)))
                if own.rank == 0 and warned < own.moves and now - own.moved > self._timeout.total_seconds() / 2:
                    warned = own.moves
                    limit = short(self._timeout.total_seconds())
                    warn(f"{who_stands(_read_beats(self._store), now)}; the run ends after {limit} s of waiting")
                if self._stop.wait(PERIOD):
                    return
        except RuntimeError:
            self.store_is_gone = True

    def _explain(self, error: BaseException) -> ChakuError:
        first = claim()
        # Until a rank that is gone has been silent for long enough; the other ranks report for a little longer.
        time.sleep((SILENCE + (1 if first else 3)) * PERIOD)
        if not first:
            return EndedElsewhere("another rank says why the run ends")
        try:
            standing = who_stands(_read_beats(_store().clone()), time.time())
        except RuntimeError:
            standing = "rank 0 or its machine is gone: its store does not answer"
        # Of gloo's text, the part after the place in its source.
        what = str(error).splitlines()[0].rpartition("cc:")[2].partition("] ")[2].partition(". ")[0]
        more = ""
        if dist.get_backend() != "gloo":
            more = f"; what each rank waited for is in {os.environ.get(TRACE)}RANK (read it with torchfrtrace)"
        here = f"on rank {dist.get_rank()}: {what or type(error).__name__}"
        return LostContact(f"{standing} ({here}){more}; run the same command to go on")


def who_stands(beats: Sequence[Beat], now: float) -> str:
    """Which ranks do not answer; or, if all answer, which ranks are behind the others; in words."""
    silent = [beat for beat in beats if now - beat.seen > SILENCE * PERIOD]
    if silent:
        texts = [f"{_name(beat)} has not answered for {_ago(now - beat.seen)}, since {beat.place}" for beat in silent]
        return _shortened(texts)
    behind = [beat for beat in beats if beat.moves < max(other.moves for other in beats)]
    if behind:
        texts = [f"{_name(beat)} has not moved for {_ago(now - beat.moved)}, since {beat.place}" for beat in behind]
        return _shortened(texts)
    return f"all {len(beats)} ranks have not moved for {_ago(now - beats[0].moved)}, since {beats[0].place}"


def is_lost_contact(error: BaseException) -> bool:
    """Whether a collective or the store failed. gloo raises a RuntimeError that names its source file."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo/transport" in str(error))


def claim() -> bool:
    """Whether this rank is the first to say why the run ends; True too when the store is gone."""
    try:
        return _store().add("said why", 1) == 1
    except (RuntimeError, ValueError):
        return True


def record_collectives() -> None:
    """Let torch's flight recorder keep NCCL's last collectives, and write them to files at a timeout."""
    os.environ.setdefault("TORCH_FR_BUFFER_SIZE", "2000")
    os.environ.setdefault("TORCH_NCCL_DUMP_ON_TIMEOUT", "1")
    os.environ.setdefault(TRACE, f"{tempfile.gettempdir()}/chaku-collectives-of-rank-")


def _store() -> Any:
    return dist.distributed_c10d._get_default_store()


def _key(rank: int) -> str:
    return f"heartbeat {rank}"


def _read_beats(store: Any) -> list[Beat]:
    keys = [key for rank in range(dist.get_world_size()) if store.check([key := _key(rank)])]
    return [Beat(**json.loads(store.get(key))) for key in keys]


def _name(beat: Beat) -> str:
    return f"rank {beat.rank} ({beat.host})"


def _ago(seconds: float) -> str:
    return f"{seconds:,.0f} s"


def _shortened(texts: list[str]) -> str:
    more = f"; and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return "; ".join(texts[:SHOWN]) + more
