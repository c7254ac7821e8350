"""A file that records finished work line by line, so that a kill at any moment loses no finished work."""

import json
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.files import explain_disk_errors
from chaku.locks import try_lock


class Journal(AbstractContextManager["Journal"]):
    """An append-only file of JSON lines. `rows`: the rows that it held when it was opened.

    A last line that was cut off is dropped. Raises ChakuError when another process writes the file, when a line is
    damaged, or when the file cannot be written.
    """

    def __init__(self, path: Path):
        self.rows: list[dict[str, Any]] = []
        self._path = path
        with explain_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        if not try_lock(self._file):
            self._file.close()
            raise ChakuError(
                f"another chaku process writes {path}; wait until it ends, or name another directory with --out"
            )
        self._file.seek(0)
        whole = 0
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b"\n"):
                break
            try:
                self.rows.append(json.loads(line))
            except ValueError as error:
                self._file.close()
                raise ChakuError(
                    f"{path}, line {number} is damaged ({error}); remove the file to start again"
                ) from error
            whole += len(line)
        self._file.truncate(whole)
        self._file.seek(0, os.SEEK_END)

    def append(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write the rows in one write. Raises ChakuError when the disk is full."""
        with explain_disk_errors(self._path):
            self._file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8"))
            self._file.flush()

    def __exit__(self, *_: object) -> None:
        self._file.close()
