"""A run directory and its steps. A finished step with the same inputs is skipped."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from chaku.console import say
from chaku.errors import ChakuError
from chaku.files import RECORD, read_json, restore, resumable_directory, sha256_json, write_json
from chaku.locks import try_lock
from chaku.ownership import check_ours, mark_as_ours
from chaku.pipeline.engines import Engines
from chaku.recipe.schema import Recipe
from chaku.tokens.load import load_tokenizer
from chaku.tokens.tokenizer import Tokenizer

RUN = "run"  # the kind of directory, in its mark
NO_RECORD = f"{RECORD}, which is gone"


class FinishedWork(ChakuError):
    """Finished work would be made again, and the user did not allow it."""


@dataclass(frozen=True)
class Work:
    """The work that a step did, for the report: 3000 tokens, say."""

    amount: float
    unit: str


class Run:
    """A recipe and its run directory. `make_again`: finished work may be replaced."""

    def __init__(self, recipe: Recipe, directory: Path, device: torch.device, make_again: bool = False):
        self.recipe = recipe
        self.directory = directory
        self.device = device
        self.make_again = make_again
        self.engines = Engines(device)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The run's tokenizer, when it is made."""
        return load_tokenizer(self.directory / "tokenizer")

    def record(self, name: str) -> dict[str, Any] | None:
        """The inputs of the step `name`, with their fingerprint; None for a step without a record."""
        path = self.directory / name
        restore(path)
        return read_json(path / RECORD) if (path / RECORD).exists() else None

    def step(self, name: str, inputs: dict[str, Any], make: Callable[[Path], Work], stale: str = "") -> str:
        """Make the folder `name` with `make(path)`, unless it is there from the same inputs.

        `make` fills a directory, which may hold files from an interrupted try with the same inputs. `stale`: a reason
        to make the folder again despite equal inputs.
        Returns the fingerprint of the inputs. Raises FinishedWork when finished work may not be replaced.
        """
        made_from = fingerprinted(inputs)
        if (record := self.record(name)) is not None:
            changed = what_changed(record, made_from) or stale
            if not changed:
                say(f"{name}: done before")
                return str(made_from["fingerprint"])
            self.replace(name, changed)
        elif (self.directory / name).exists():
            self.replace(name, NO_RECORD)
        started = time.monotonic()
        with resumable_directory(self.directory / name, made_from) as path:
            work = make(path)
        self.record_time(name, time.monotonic() - started, work)
        return str(made_from["fingerprint"])

    def replace(self, name: str, why: str) -> None:
        """Print that finished work is made again. Raises FinishedWork when the user did not allow it."""
        if not self.make_again:
            raise FinishedWork(
                f"{name} would be made again, because of {why}; add --yes to allow it, or --out to run elsewhere"
            )
        say(f"{name}: made again, because of {why}")

    def record_time(self, name: str, seconds: float, work: Work) -> None:
        timings = [timing for timing in self._timings() if timing["name"] != name]
        timing = {"name": name, "seconds": seconds, "items": work.amount, "unit": work.unit}
        write_json(self.directory / "timings.json", [*timings, timing])

    def seconds(self, name: str) -> float | None:
        """The seconds that a step took; None if they are not known."""
        return next((timing["seconds"] for timing in self._timings() if timing["name"] == name), None)

    def _timings(self) -> list[dict[str, Any]]:
        path = self.directory / "timings.json"
        return read_json(path) if path.exists() else []


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Hold the lock of a run directory.

    Raises ChakuError when another process holds the lock, the directory cannot be written, or chaku did not make it.
    """
    check_ours(directory, RUN)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        mark_as_ours(directory, RUN)
        lock = (directory / ".lock").open("w")
    except OSError as error:
        raise ChakuError(f"cannot write the run directory {directory} ({error.strerror}); change --out") from error
    with lock:
        if not try_lock(lock):
            raise ChakuError(f"another chaku is running in {directory}; wait for it, or change --out")
        yield


def fingerprinted(inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs as JSON values, with a "fingerprint": their hash."""
    plain = json.loads(json.dumps(inputs, default=str))
    return {**plain, "fingerprint": sha256_json(plain)}


def what_changed(before: Any, now: Any, at: str = "") -> str:
    """The paths at which two JSON values differ, separated by commas; empty for equal values."""
    if before == now:
        return ""
    if isinstance(before, dict) and isinstance(now, dict):
        differences = [
            what_changed(before.get(key), now.get(key), f"{at}.{key}" if at else key)
            for key in {**before, **now}
            if key != "fingerprint"
        ]
        return ", ".join(difference for difference in differences if difference)
    return at
