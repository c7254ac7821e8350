"""The part of the child process that asks servers, through their drivers. It imports nothing from chaku.

The parent describes the session: see `engines.engine.Engine`. Each query has a new connection, so that no state of a
session survives.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

ROWS_AT_ONCE = 500
# How servers say that a query ran out of time: PostgreSQL and Redshift, MariaDB, MySQL, ClickHouse, SQL Server, Trino,
# Oracle, Snowflake, BigQuery.
TIMED_OUT = re.compile(
    "statement timeout|max_statement_time|maximum statement execution time|TIMEOUT_EXCEEDED|timed out|time limit"
    "|DPY-4024|DPI-1067|warehouse timeout|Job exceeded",
    re.IGNORECASE,
)

Reply = dict[str, Any]


def ask(
    request: Reply,
    collect: Callable[..., Reply],
    failed: Callable[..., Reply],
    say: Callable[[Exception], str],
) -> Reply:
    """Run the request's query in a session that only reads. `say`: a driver's error as one line."""
    try:
        driver = _connect(request)
    except Exception as error:
        return failed(say(_plain(error)), "away")
    try:
        for name, value in request["attributes"].items():
            setattr(driver, name, value)
        cursor = _prepared(driver, request)
        options: dict[str, Any] = {}
        if request.get("explain") and _kind(driver) == "psycopg":
            options["prepare"] = True  # a prepared statement is a single statement
        if request.get("dry_run"):
            job = _dry_run(driver, request["sql"])
            if job.statement_type != "SELECT":
                return failed(f"not allowed: BigQuery reads it as {job.statement_type}", "refused")
            if request.get("explain"):
                estimate = json.dumps({"totalBytesProcessed": job.total_bytes_processed})
                return collect(["estimate"], iter([(estimate,)]), request)
            options["job_config"] = _bigquery_job(job_timeout_ms=int(request["timeout"] * 1000))
        cursor.execute(request["sql"], **options)
        if cursor.description is None:
            return failed("is not a query: it returns no columns")
        return collect([column[0] for column in cursor.description], _rows(cursor), request)
    except Exception as error:
        message = say(_plain(error))
        if _is_lost(driver):
            return failed(f"the server ended the connection in the middle of a query: {message}", "away")
        return failed(f"ran longer than {request['timeout']:g} s" if TIMED_OUT.search(message) else message)
    finally:
        driver.close()  # rolls back an open transaction


def _is_lost(driver: Any) -> bool:
    """Whether the server ended the connection. psycopg calls it closed, and PyMySQL not open; others may not tell."""
    return bool(getattr(driver, "closed", False)) or not getattr(driver, "open", True)


def _connect(request: Reply) -> Any:
    dialect, arguments, settings = _dialect(request["path"])
    return dialect.connect(*arguments, **{**settings, **request["connect"]})


@cache
def _dialect(url: str) -> tuple[Any, list[Any], dict[str, Any]]:
    """SQLAlchemy's dialect for a URL, and the arguments of its driver's connect."""
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    kind = parsed.get_dialect()
    dialect = kind(dbapi=kind.import_dbapi())
    arguments, settings = dialect.create_connect_args(parsed)
    if kind.driver == "pymysql":
        settings["conv"] = _mysql_conversions()
    return dialect, arguments, settings


def _prepared(driver: Any, request: Reply) -> Any:
    """The cursor for the query, after the session's statements."""
    kind = _kind(driver)
    if kind == "psycopg":
        driver.autocommit = True
    for statement in request["session"]:
        cursor = driver.cursor()  # not every driver's cursor is a context manager
        cursor.execute(statement)
        cursor.close()
    if kind == "psycopg":
        _read_as_written(driver)
        # A server-side cursor accepts only a single query (no COPY, no SHOW), and sends rows on demand.
        return driver.cursor() if request.get("explain") else driver.cursor(name="query")
    return driver.cursor(_unbuffered()) if kind == "pymysql" else driver.cursor()


def _kind(driver: Any) -> str:
    """The package of a connection's driver."""
    return type(driver).__module__.partition(".")[0]


def _rows(cursor: Any) -> Iterator[Any]:
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        yield from rows


def _plain(error: Exception) -> Exception:
    """The error with the server's message alone. Drivers add numbers and the request."""
    text = error.args[1] if len(error.args) == 2 and isinstance(error.args[0], int) else str(error)
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    if "DB::Exception: " in text:
        text = text.rpartition("DB::Exception: ")[2].partition(" (for url ")[0]
    text = text.partition("DB-Lib error")[0].strip()
    return RuntimeError(text) if text else error


def _read_as_written(driver: Any) -> None:
    """Return the server's text for types that Python lacks: JSON, intervals with months, infinite dates."""
    from psycopg.types.string import TextLoader

    for name in ("json", "jsonb", "interval", "date", "time", "timetz", "timestamp", "timestamptz"):
        driver.adapters.register_loader(name, TextLoader)


def _mysql_conversions() -> dict[Any, Any]:
    """Return dates and times as the server's text: Python has no day 0, and no time of 25 hours."""
    from pymysql.constants import FIELD_TYPE
    from pymysql.converters import conversions

    as_written = (FIELD_TYPE.DATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP, FIELD_TYPE.TIME)
    return {key: convert for key, convert in conversions.items() if key not in as_written}


def _unbuffered() -> Any:
    from pymysql.cursors import SSCursor

    return SSCursor


def _dry_run(driver: Any, sql: str) -> Any:
    """The job of BigQuery's dry run, which costs nothing and runs nothing: the kind of statement, and its bytes."""
    return driver._client.query(sql, job_config=_bigquery_job(dry_run=True, use_query_cache=False))


def _bigquery_job(**settings: Any) -> Any:
    from google.cloud.bigquery import QueryJobConfig

    return QueryJobConfig(**settings)
