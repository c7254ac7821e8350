"""Writes metrics.jsonl, one JSON object a line, and passes the same values to trackers."""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from chaku.files import explain_disk_errors
from chaku.jsonl import read_log, write_lines
from chaku.training.trackers import Tracker


class MetricsLog(AbstractContextManager["MetricsLog"]):
    """Appends to DIRECTORY/metrics.jsonl. Drops lines after `first_step`: a killed run wrote them, then lost the steps.

    `trackers`: get the same values, and are closed with the log.
    """

    def __init__(self, directory: Path, first_step: int, trackers: Sequence[Tracker] = ()):
        path = directory / "metrics.jsonl"
        write_lines(path, [line for line in read_metrics(path) if line["step"] <= first_step])
        self._path = path
        self._file = path.open("a", encoding="utf-8")
        self._trackers = trackers

    def write(self, step: int, **values: Any) -> None:
        """Write the values of one step: numbers, dictionaries of numbers, and `sample` with its `text`."""
        with explain_disk_errors(self._path):
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()
            numbers, texts = _flat(values)
            for tracker in self._trackers:
                tracker.log(step, numbers, texts)

    def __exit__(self, *_: object) -> None:
        with explain_disk_errors(self._path):
            self._file.close()
            for tracker in self._trackers:
                tracker.close()


def _flat(values: dict[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """The numbers and the texts of a line by name; the number `key` of a dictionary `name` is called "name/key"."""
    numbers: dict[str, float] = {}
    texts: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, int | float):
            numbers[name] = value
        elif name == "sample":
            texts[name] = value["text"]
        else:
            numbers |= {f"{name}/{key}": number for key, number in value.items()}
    return numbers, texts


class NoLog(AbstractContextManager["NoLog"]):
    """The log of a rank that writes nothing."""

    def write(self, step: int, **values: Any) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file; empty when the file does not exist. Skips a line that a kill cut short."""
    return read_log(path)[0] if path.exists() else []
