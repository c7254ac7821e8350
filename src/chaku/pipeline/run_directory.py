"""A run directory and its steps: what is whole and was made from the same inputs is skipped."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from chaku.console import say
from chaku.errors import ChakuError
from chaku.files import RECORD, read_json, restore, resumable_directory, sha256_json, write_json
from chaku.locks import try_lock
from chaku.ownership import check_ours, mark_as_ours
from chaku.recipe.schema import Recipe

RUN = "run"  # what the directory is marked as
NO_RECORD = f"{RECORD}, which is gone"


class FinishedWork(ChakuError):
    """Finished work would be made again, and nobody said that this is wanted."""


class Run:
    """A recipe and the directory that it fills. `make_again`: finished work may be replaced."""

    def __init__(self, recipe: Recipe, directory: Path, device: torch.device, make_again: bool = False):
        self.recipe = recipe
        self.directory = directory
        self.device = device
        self.make_again = make_again

    def record(self, name: str) -> dict[str, Any] | None:
        """What DIRECTORY/NAME was made from, with its fingerprint; None where it is not there."""
        path = self.directory / name
        restore(path)
        return read_json(path / RECORD) if (path / RECORD).exists() else None

    def step(
        self, name: str, inputs: dict[str, Any], make: Callable[[Path], tuple[float, str]], stale: str = ""
    ) -> str:
        """Make DIRECTORY/NAME by `make(path)` unless it was made from the same inputs; say why when it is made again.

        `make` fills a directory, which may hold what an earlier try with the same inputs left there; it returns how
        much it did, and the unit, for the report. `stale`: why it is made again though its inputs are the same.
        Returns the fingerprint of the inputs.
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
            items, unit = make(path)
        self.record_time(name, time.monotonic() - started, items, unit)
        return str(made_from["fingerprint"])

    def replace(self, name: str, why: str) -> None:
        """Say that finished work is made again, or raise FinishedWork where that is not wanted."""
        if not self.make_again:
            raise FinishedWork(
                f"{name} would be made again, because of {why}; add --yes for that, or --out to run elsewhere"
            )
        say(f"{name}: made again, because of {why}")

    def record_time(self, name: str, seconds: float, items: float, unit: str) -> None:
        timings = [timing for timing in self._timings() if timing["name"] != name]
        write_json(
            self.directory / "timings.json",
            [*timings, {"name": name, "seconds": seconds, "items": items, "unit": unit}],
        )

    def seconds(self, name: str) -> float | None:
        """How long a step took; None where it is not known."""
        return next((timing["seconds"] for timing in self._timings() if timing["name"] == name), None)

    def _timings(self) -> list[dict[str, Any]]:
        path = self.directory / "timings.json"
        return read_json(path) if path.exists() else []


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Hold the run directory's lock. Raises ChakuError when another process has it, or it cannot be written, or holds
    what chaku did not make."""
    check_ours(directory, RUN)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        mark_as_ours(directory, RUN)
        lock = (directory / ".lock").open("w")
    except OSError as error:
        raise ChakuError(f"cannot write the run directory {directory} ({error.strerror}); choose another") from error
    with lock:
        if not try_lock(lock):
            raise ChakuError(f"another chaku is running in {directory}; wait for it, or choose another directory")
        yield


def fingerprinted(inputs: dict[str, Any]) -> dict[str, Any]:
    plain = json.loads(json.dumps(inputs, default=str))
    return {**plain, "fingerprint": sha256_json(plain)}


def what_changed(before: Any, now: Any, at: str = "") -> str:
    """The paths at which two JSON values differ, in words; empty when they are equal."""
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
