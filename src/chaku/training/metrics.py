"""Writes metrics.jsonl, one JSON object a line, and the same numbers for TensorBoard when it is installed."""

import json
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from chaku.files import explain_disk_errors
from chaku.jsonl import read_log, write_lines


class MetricsLog(AbstractContextManager["MetricsLog"]):
    """Appends to DIRECTORY/metrics.jsonl. Drops lines after `first_step`: a killed run wrote them, then lost the steps.

    With `tensorboard`, writes DIRECTORY/tensorboard too.
    """

    def __init__(self, directory: Path, first_step: int, tensorboard: bool = True):
        path = directory / "metrics.jsonl"
        kept = [line for line in read_metrics(path) if line["step"] <= first_step]
        write_lines(path, kept)
        self._path = path
        self._file = path.open("a", encoding="utf-8")
        self._writer: Any = None
        if tensorboard and find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(directory / "tensorboard"), purge_step=first_step + 1)

    def write(self, step: int, **values: Any) -> None:
        with explain_disk_errors(self._path):
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()
            if self._writer:
                self._to_tensorboard(step, values)

    def _to_tensorboard(self, step: int, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if isinstance(value, int | float):
                self._writer.add_scalar(name, value, step)
            elif name == "heldout_loss":
                for key, loss in value.items():
                    self._writer.add_scalar(f"{name}/{key}", loss, step)
            elif name == "sample":
                self._writer.add_text(name, value["text"], step)

    def __exit__(self, *_: object) -> None:
        with explain_disk_errors(self._path):
            self._file.close()
            if self._writer:
                self._writer.close()


class NoLog(AbstractContextManager["NoLog"]):
    """The log of a rank that writes nothing."""

    def write(self, step: int, **values: Any) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file; empty when the file does not exist. Skips a line that a kill cut short."""
    return read_log(path)[0] if path.exists() else []
