"""The child process that runs queries. It imports nothing from chaku; `QueryProcess` starts it by its path.

A request and a reply are JSON after 8 bytes with its length. The process limits its memory, its files, and its CPU time
for each query. The parent kills it if a query still takes too long.
"""

import importlib.util
import itertools
import json
import os
import resource
import sqlite3
import struct
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

# Refused SQLite functions: they load code, reach files, reveal memory addresses, or fill the memory.
REFUSED_FUNCTIONS = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "zeroblob", "randomblob"}
LONGEST_CELL = 16_000_000  # bytes of the longest value in SQLite's memory


def main() -> None:
    """Answer requests until the input ends."""
    replies = os.dup(1)
    os.dup2(2, 1)
    _limit(*map(int, sys.argv[1:]))
    _send(replies, {"ready": True})
    while (request := _receive()) is not None:
        started = time.perf_counter()
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime + request["timeout"] + request.get("grace", 0)) + 2
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        try:
            reply = _run(request)
        except MemoryError:
            reply = _failed("needed more memory than a query may have")
        except Exception as error:
            reply = _failed(_message(error))
        reply["seconds"] = time.perf_counter() - started
        _send(replies, reply)


def _limit(address_bytes: int, memory_bytes: int | None = None) -> None:
    """Limit the process. `address_bytes`: of address space; `memory_bytes`: of writable memory (default: the same)."""
    memory = memory_bytes or address_bytes
    for which, value in (("AS", address_bytes), ("DATA", memory), ("FSIZE", 0), ("CORE", 0), ("NOFILE", 64)):
        try:
            resource.setrlimit(getattr(resource, f"RLIMIT_{which}"), (value, value))
        except (ValueError, OSError):  # the system has no such limit; the timeout and the caps still hold
            continue


def _run(request: dict[str, Any]) -> dict[str, Any]:
    return {"sqlite": _sqlite, "duckdb": _duckdb, "server": _server}[request["runner"]](request)


def _sqlite(request: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + request["timeout"]
    connection = open_sqlite(request["path"])
    refusals: list[str] = []
    try:
        connection.text_factory = lambda data: data.decode("utf-8", "ignore")  # as in Spider's official evaluator
        connection.execute("PRAGMA query_only = 1")
        connection.execute("PRAGMA temp_store = 2")  # sorting in memory: this process may not write a file
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute("PRAGMA trusted_schema = 0")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_CELL)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000)
        connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
        private = {(table, column) for table, column in request["private"]}
        connection.set_authorizer(lambda *action: _authorize(refusals, private, *action))
        cursor = connection.execute(request["sql"])
        if cursor.description is None:
            return _failed("is not a query: it returns no columns")
        return _collect([column[0] for column in cursor.description], cursor, request)
    except sqlite3.Error as error:
        if refusals:
            return _failed(f"not allowed: {refusals[0]}", "refused")
        if "interrupted" in str(error):
            return _failed(f"ran longer than {request['timeout']:g} s")
        raise
    finally:
        connection.close()


def open_sqlite(path: str) -> sqlite3.Connection:
    """A connection that cannot write. A database in WAL mode with an empty WAL is opened as immutable."""
    with Path(path).open("rb") as file:
        wal = file.read(20)[18:20] == b"\x02\x02"
    log = Path(path + "-wal")
    still = "&immutable=1" if wal and not (log.exists() and log.stat().st_size) else ""
    return sqlite3.connect(f"file:{quote(path)}?mode=ro{still}", uri=True, isolation_level=None, cached_statements=0)


ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
ACTION_NAMES = {  # SQLite's number of an action -> its name, for messages
    value: name.removeprefix("SQLITE_").replace("_", " ")
    for name, value in vars(sqlite3).items()
    if name.startswith(("SQLITE_ALTER", "SQLITE_CREATE", "SQLITE_DROP"))
    or name
    in ("SQLITE_" + action for action in ("ANALYZE", "ATTACH", "DELETE", "DETACH", "INSERT", "PRAGMA", "REINDEX"))
    or name in ("SQLITE_SAVEPOINT", "SQLITE_TRANSACTION", "SQLITE_UPDATE")
}


def _authorize(
    refusals: list[str],
    private: set[tuple[str, str]],
    action: int,
    first: str | None,
    second: str | None,
    database: str | None,
    by: str | None,
) -> int:
    reason = ""
    if action not in ALLOWED:
        reason = ACTION_NAMES.get(action, f"action {action}")
    elif action == sqlite3.SQLITE_READ and (first or "").lower().startswith(("sqlite_", "pragma_", "dbstat")):
        reason = f"reading {first}"
    elif action == sqlite3.SQLITE_READ and ((first or "").lower(), (second or "").lower()) in private:
        reason = f"{first}.{second} is private"
    elif action == sqlite3.SQLITE_FUNCTION:
        name = (second or "").lower()
        if name in REFUSED_FUNCTIONS or name.startswith("sqlite_"):
            reason = f"the function {name}"
    if not reason:
        return sqlite3.SQLITE_OK
    refusals.append(reason)
    return sqlite3.SQLITE_DENY


DUCKDB_CONFIG = {
    "enable_external_access": "false",  # no file, no other database, no network
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "temp_directory": "",
    "memory_limit": "1GB",
    "threads": "2",
    "lock_configuration": "true",
}


def _duckdb(request: dict[str, Any]) -> dict[str, Any]:
    import duckdb

    statements = duckdb.extract_statements(request["sql"])
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        return _failed("not allowed: only one SELECT runs", "refused")
    with duckdb.connect(request["path"], read_only=True, config=DUCKDB_CONFIG) as connection:
        timer = threading.Timer(request["timeout"], connection.interrupt)
        timer.start()
        try:
            cursor = connection.execute(statements[0])
            rows = iter(lambda: cursor.fetchmany(500), [])
            return _collect([column[0] for column in cursor.description], itertools.chain.from_iterable(rows), request)
        except duckdb.InterruptException:
            return _failed(f"ran longer than {request['timeout']:g} s")
        except duckdb.OutOfMemoryException:
            return _failed("needed more memory than a query may have")
        finally:
            timer.cancel()


def _server(request: dict[str, Any]) -> dict[str, Any]:
    """Ask a server; `query_servers` is loaded by its path, as this program is."""
    if "query_servers" not in sys.modules:
        spec = importlib.util.spec_from_file_location("query_servers", Path(__file__).with_name("query_servers.py"))
        assert spec
        assert spec.loader
        sys.modules["query_servers"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["query_servers"].ask(request, _collect, _failed, _message)


def _collect(columns: list[str], rows: Iterable[Any], request: dict[str, Any]) -> dict[str, Any]:
    """The reply with at most `max_rows` rows, `max_cell` characters a cell and `max_bytes` bytes in total."""
    kept: list[list[Any]] = []
    size, truncated = 0, False
    for row in rows:
        if len(kept) == request["max_rows"]:
            return _ok(columns, kept, True)
        cells = []
        for value in row:
            cell, cut, num_bytes = _cell(value, request["max_cell"])
            cells.append(cell)
            size += num_bytes
            truncated |= cut
        if size > request["max_bytes"]:
            return _ok(columns, kept, True)
        kept.append(cells)
    return _ok(columns, kept, truncated)


def _cell(value: Any, longest: int) -> tuple[Any, bool, int]:
    """(the value for JSON, whether it was cut, its size in bytes)."""
    if value is None or isinstance(value, bool | int | float):
        return value, False, 8
    if isinstance(value, str):
        return value[:longest], len(value) > longest, len(value)
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        return {"bytes": data[:longest].hex()}, len(data) > longest, 2 * len(data)
    if isinstance(value, dict | list | tuple | set | frozenset):
        text, kind = json.dumps(_nested(value), ensure_ascii=False), "text"
    else:
        text, kind = str(value), "decimal" if type(value).__name__ == "Decimal" else "text"
    return {kind: text[:longest]}, len(text) > longest, len(text)


def _nested(value: Any) -> Any:
    """An array, a struct or a map as JSON values. A number that JSON's readers would round becomes text."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _nested(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_nested(inner) for inner in value]
    if type(value).__name__ == "Decimal":
        return float(value) if type(value)(repr(float(value))) == value else str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _ok(columns: list[str], rows: list[list[Any]], truncated: bool) -> dict[str, Any]:
    return {"status": "ok", "reason": "", "columns": columns, "rows": rows, "truncated": truncated}


def _failed(reason: str, status: str = "failed") -> dict[str, Any]:
    return {"status": status, "reason": reason, "columns": [], "rows": [], "truncated": False}


def _message(error: Exception) -> str:
    """An engine's message on one line, with its hints (the nearest names), without the query that it quotes."""
    said = ""
    for line in (" ".join(line.split()) for line in str(error).splitlines()):
        if line.startswith("LINE "):  # PostgreSQL and DuckDB quote the query, and mark the place with ^
            continue
        if line and not set(line) <= {"^", "~"}:
            stop = ";" if said and said[-1] not in ".,:;!?" and line[0].isupper() else ""
            said += f"{stop} {line}" if said else line
    return said[:500] or type(error).__name__


def _receive() -> dict[str, Any] | None:
    header = sys.stdin.buffer.read(8)
    if len(header) < 8:
        return None
    return json.loads(sys.stdin.buffer.read(struct.unpack(">Q", header)[0]))


def _send(descriptor: int, reply: dict[str, Any]) -> None:
    data = json.dumps(reply).encode()
    data = struct.pack(">Q", len(data)) + data
    while data:
        data = data[os.write(descriptor, data) :]


if __name__ == "__main__":
    main()
