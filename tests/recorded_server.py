"""A stand-in for a server that is not installed: recorded catalogue, and tables in DuckDB.

It runs the very text that the server would get, which sqlglot translates from the server's dialect to DuckDB's. So the
names of the catalogue, joins, order and functions of a query count, but what the server itself would say does not: that
is NOT tested. Texts that are no query of rows (SET, BEGIN) belong to the session, which the driver sends.
"""

import re
from contextlib import AbstractContextManager
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

from chaku.sql.engines import engine as engine_module
from chaku.sql.engines.known import ENGINES
from chaku.sql.execute.database import Database
from chaku.sql.execute.runner import Result

Rows = list[dict[str, Any]]


class RecordedServer(AbstractContextManager["RecordedServer"]):
    """Takes the place of the process that asks a server. `asked`: the texts that it got, in order.

    `catalogue`: rows by the name of their table, such as "sys.columns". `values`: results of functions of the session.
    """

    def __init__(self, dialect: str, catalogue: dict[str, Rows], values: dict[str, str]):
        self.dialect, self.asked = dialect, []
        self.connection = duckdb.connect()
        self.tables = {name.lower(): f"recorded_{index}" for index, name in enumerate(catalogue)}
        for name, rows in catalogue.items():
            columns = ", ".join(f'"{column}" {_type(rows, column)}' for column in rows[0])
            self.connection.execute(f"CREATE TABLE {self.tables[name.lower()]} ({columns})")
            for row in rows:
                marks = ", ".join("?" for _ in row)
                self.connection.execute(f"INSERT INTO {self.tables[name.lower()]} VALUES ({marks})", [*row.values()])
        self.values = values

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.connection.close()

    def interrupt(self) -> None: ...

    def ask(self, request: dict[str, Any]) -> Result:
        self.asked.append(request["sql"])
        try:
            cursor = self.connection.execute(self.translated(request["sql"]))
        except Exception as error:
            return Result("failed", f"{type(error).__name__}: {error}")
        columns = tuple(column[0] for column in cursor.description)
        rows = [tuple(_plain(cell) for cell in row) for row in cursor.fetchmany(request["max_rows"])]
        return Result("ok", columns=columns, rows=rows)

    def translated(self, sql: str) -> str:
        """The query for DuckDB, with the recorded tables in the place of the catalogue's."""
        if command := re.match(r"\s*(SHOW [\w ]+?)\s*->>", sql):  # Snowflake's SHOW, whose rows are $1
            sql = sql[command.end() :].replace("$1", '"shown"')
            return sqlglot.transpile(
                sql.replace('"shown"', self.tables[command[1].lower()]), read=self.dialect, write="duckdb"
            )[0]
        for call, value in self.values.items():
            sql = sql.replace(call, f"'{value}'")
        tree = sqlglot.parse_one(sql, read=self.dialect)
        for table in list(tree.find_all(exp.Table)):
            place = ".".join(part.name for part in table.parts).lower()
            known = next((name for name in self.tables if place == name or place.endswith(f".{name}")), None)
            if known:
                alias = table.alias or table.name
                table.replace(exp.alias_(exp.to_table(self.tables[known]), alias, table=True))
        return tree.sql(dialect="duckdb").replace(" FROM dual", "")


def recorded_database(monkeypatch: Any, url: str, catalogue: dict[str, Rows], values: dict[str, str]) -> Database:
    """A database whose server is recorded; its driver need not be installed."""
    monkeypatch.setattr(engine_module, "_is_installed", lambda module: True)
    database = Database(url)
    database._child = RecordedServer(database.dialect, catalogue, values)  # type: ignore[assignment]
    assert ENGINES[database.dialect].driver
    return database


def _type(rows: Rows, column: str) -> str:
    kinds = {type(row[column]) for row in rows if row[column] is not None}
    return "BIGINT" if kinds <= {int} and kinds else "VARCHAR"


def _plain(cell: Any) -> Any:
    return cell if cell is None or isinstance(cell, bool | int | float | str | bytes) else str(cell)
