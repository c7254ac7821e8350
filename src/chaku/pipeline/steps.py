"""A run directory and its steps: what is whole and was made from the same inputs is skipped."""

import fcntl
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from chaku.console import say
from chaku.errors import ChakuError
from chaku.files import read_json, sha256_json, write_json
from chaku.recipe import Recipe


class Run:
    """A recipe and the directory that it fills."""

    def __init__(self, recipe: Recipe, directory: Path, device: torch.device):
        self.recipe = recipe
        self.directory = directory
        self.device = device

    def step(self, name: str, inputs: dict[str, Any], make: Callable[[Path], tuple[float, str]]) -> dict[str, Any]:
        """Make DIRECTORY/NAME by `make(path)` unless it was made from the same inputs; say why when it is made again.

        `make` returns how much it did, and the unit, for the report. Returns `inputs` with their fingerprint.
        """
        path = self.directory / name
        record = path / "inputs.json"
        made_from = fingerprinted(inputs)
        if record.exists():
            changed = what_changed(read_json(record), made_from)
            if not changed:
                say(f"{name}: done before")
                return made_from
            say(f"{name}: made again, because {changed} changed")
        started = time.monotonic()
        record.unlink(missing_ok=True)  # from here until it is whole it is nobody's
        items, unit = make(path)
        write_json(record, made_from)
        self.record_time(name, time.monotonic() - started, items, unit)
        return made_from

    def record_time(self, name: str, seconds: float, items: float, unit: str) -> None:
        path = self.directory / "timings.json"
        timings = [each for each in read_json(path) if each["name"] != name] if path.exists() else []
        write_json(path, [*timings, {"name": name, "seconds": seconds, "items": items, "unit": unit}])


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Hold the run directory's lock. Raises ChakuError when another process has it, or it cannot be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / ".lock").open("w")
    except OSError as error:
        raise ChakuError(f"cannot write the run directory {directory} ({error.strerror}); choose another") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ChakuError(
                f"another chaku is running in {directory}; wait for it, or choose another directory"
            ) from None
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
        return ", ".join(each for each in differences if each)
    return at
