"""Runs untrusted queries, read-only, in a warm child process that has limits and can be killed."""

import json
import os
import queue
import selectors
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from chaku.errors import ChakuError

TIMEOUT = 10.0  # seconds of a query
MAX_ROWS = 10_000
MAX_BYTES = 16_000_000  # of a result
MAX_CELL = 100_000  # characters of a cell
MEMORY_BYTES = 1 << 30  # address space of the child
GRACE_SECONDS = 0.5  # after the timeout, for the process to stop by itself before it is killed
START_SECONDS = 60.0  # for a child to start on a busy machine
PROGRAM = Path(__file__).with_name("query_process.py")


@dataclass(frozen=True, slots=True)
class Result:
    """The rows of a query, or the `reason` why it failed, or was refused and did not run, or its server is away.

    `truncated`: a cap on rows, cells or bytes cut the result. Cells are None, bool, int, float, str, bytes or Decimal;
    other types (dates, arrays) become text.
    """

    status: Literal["ok", "failed", "refused", "away"]
    reason: str = ""
    columns: tuple[str, ...] = ()
    rows: list[tuple] = ()  # type: ignore[assignment]
    truncated: bool = False
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return self.status == "ok"


def process_command(address_bytes: int, memory_bytes: int | None = None, *, imports: bool = False) -> list[str]:
    """The command of a child process with limits. `imports`: its engine's driver is an installed package."""
    packages = [] if imports else ["-S"]
    limits = [str(limit) for limit in (address_bytes, memory_bytes) if limit]
    return [sys.executable, "-I", *packages, "-B", str(PROGRAM), *limits]


class SQLiteRunner(AbstractContextManager["SQLiteRunner"]):
    """Runs SQL on SQLite files. A context manager; `num_processes` queries run at one time, from any threads.

    A query cannot change a file, read another file or run past its timeout: the database is opened read-only and
    `query_only`, with an authorizer that allows only SELECT, in a process that may not write files.
    """

    def __init__(self, num_processes: int = 1, *, memory_bytes: int = MEMORY_BYTES):
        command = process_command(memory_bytes)
        self._num_processes = num_processes
        self._all = [QueryProcess(command, environment={}) for _ in range(num_processes)]
        self._children: queue.Queue[QueryProcess] = queue.Queue()
        for child in self._all:
            self._children.put(child)

    def __exit__(self, *_: object) -> None:
        self.close()

    def interrupt(self) -> None:
        """End all queries that run now, from another thread."""
        for child in self._all:
            child.interrupt()

    def close(self) -> None:
        for _ in range(self._num_processes):
            self._children.get().stop()

    def run(
        self,
        path: Path,
        sql: str,
        *,
        timeout: float = TIMEOUT,
        max_rows: int = MAX_ROWS,
        max_bytes: int = MAX_BYTES,
        max_cell: int = MAX_CELL,
        private: Iterable[tuple[str, str]] = (),
    ) -> Result:
        """The rows of one statement. Raises ChakuError when the file does not exist.

        `private`: the (table, column), in small letters, that the statement may not read.
        """
        if not path.is_file():
            raise ChakuError(f"{path} is not a database file; check the path")
        request = {
            "runner": "sqlite",
            "path": str(path.resolve()),
            "sql": sql,
            "timeout": timeout,
            "max_rows": max_rows,
            "max_bytes": max_bytes,
            "max_cell": max_cell,
            "private": [*private],
        }
        child = self._children.get()
        try:
            return child.ask(request)
        finally:
            self._children.put(child)

    def run_many(
        self, jobs: Sequence[tuple[Path, str]], *, done: Callable[[], None] | None = None, **limits: Any
    ) -> list[Result]:
        """The results of jobs (path, sql), in order. Runs `num_processes` at a time; `limits` as in `run`."""

        def one(job: tuple[Path, str]) -> Result:
            result = self.run(*job, **limits)
            if done:
                done()
            return result

        with ThreadPoolExecutor(self._num_processes) as pool:
            return list(pool.map(one, jobs))


class QueryProcess:
    """One child process. A request starts it, also after it was killed. Use it from one thread at a time."""

    def __init__(self, command: list[str], *, environment: dict[str, str] | None):
        self._command, self._environment = command, environment
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, request: dict[str, Any]) -> Result:
        """The child's result, or the reason why it gave none."""
        with self._lock:
            self._start()
            started = time.monotonic()
            limit = 12 * (request["max_bytes"] + 1_000_000)  # JSON writes a character in at most 12 bytes
            try:
                self._send(request)
                patience = request["timeout"] + request.get("grace", 0) + GRACE_SECONDS
                reply = self._receive(started + patience, limit)
            except TimeoutError:
                self.stop()
                return _failed(f"ran longer than {request['timeout']:g} s", started)
            except (OSError, ValueError):
                code = self._stop_and_code()
                return _failed(
                    f"ran longer than {request['timeout']:g} s of CPU time"
                    if code in (-24, -9)
                    else f"its process ended (status {code}); it may have needed more memory than a query may have",
                    started,
                )
            return Result(
                reply["status"],
                reply["reason"],
                tuple(reply["columns"]),
                [tuple(_value(cell) for cell in row) for row in reply["rows"]],
                reply["truncated"],
                reply["seconds"],
            )

    def interrupt(self) -> None:
        """End the query that another thread waits for: its result is a failure. Does nothing when no query runs."""
        process = self._process
        if process is not None and self._lock.locked():
            process.kill()  # the thread that waits sees the end of the process, and cleans up

    def stop(self) -> None:
        self._stop_and_code()

    def _stop_and_code(self) -> int | None:
        if self._process is None:
            return None
        process, self._process = self._process, None
        assert process.stdin
        assert process.stdout
        try:
            code = process.wait(0.05)
        except subprocess.TimeoutExpired:
            code = None
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                continue
        return code

    def _start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self.stop()
        self._process = subprocess.Popen(
            self._command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment,
            start_new_session=True,  # Ctrl-C must not reach the child
        )
        try:
            self._receive(time.monotonic() + START_SECONDS, 1000)
        except (TimeoutError, OSError, ValueError) as error:
            self.stop()
            raise ChakuError(f"the process that runs queries does not start: {' '.join(self._command)}") from error

    def _send(self, request: dict[str, Any]) -> None:
        assert self._process
        assert self._process.stdin
        data = json.dumps(request).encode()
        view = memoryview(struct.pack(">Q", len(data)) + data)
        while view:
            view = view[os.write(self._process.stdin.fileno(), view) :]

    def _receive(self, deadline: float, limit: int) -> dict[str, Any]:
        """The reply. Raises TimeoutError after the deadline, OSError if the child ended, ValueError for a bad reply."""
        assert self._process
        assert self._process.stdout
        descriptor = self._process.stdout.fileno()
        data, size = bytearray(), 8
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while len(data) < size:
                if not selector.select(max(deadline - time.monotonic(), 0)):
                    raise TimeoutError
                part = os.read(descriptor, min(size - len(data), 1 << 20))
                if not part:
                    raise ConnectionError("the child ended")
                data += part
                if size == len(data) == 8:
                    size += struct.unpack(">Q", data)[0]
                    if size > limit:
                        raise ValueError("the reply is longer than its cap")
        return json.loads(data[8:])


def _failed(reason: str, started: float) -> Result:
    return Result("failed", reason, (), [], False, time.monotonic() - started)


def _value(cell: Any) -> Any:
    if not isinstance(cell, dict):
        return cell
    [(kind, text)] = cell.items()
    return bytes.fromhex(text) if kind == "bytes" else Decimal(text) if kind == "decimal" else text
