"""The grammar's functions with their arguments, aggregates and types: see `engines.engine.Forms`."""

import re
import sqlite3

from chaku.sql.engines.known import ENGINES
from chaku.sql.schema.definition import Dialect


def calls(dialect: Dialect, value: str) -> list[str]:
    """Calls of the dialect's functions. `value`: the rule of their arguments."""
    return [f"{_terminal(key)} CALL{_arguments(key, value)} CLOSE" for key in ENGINES[dialect].forms.functions]


def functions(dialect: Dialect) -> str:
    """The terminals for the names of functions, aggregates and types."""
    forms = ENGINES[dialect].forms
    rules = []
    there = _of_sqlite() if ENGINES[dialect].optional_functions else None
    for key, names in forms.functions.items():
        known = [name for name in names.split() if there is None or name in there]
        rules.append(f"{_terminal(key)}: {_in_their_case(known)}")
    rules += [f"{kind}: {_in_their_case(names.split())}" for kind, names in forms.aggregates.items()]
    return "\n".join([*rules, f"TYPE: /{forms.types}/i"])


def _in_their_case(names: list[str]) -> str:
    """Names of functions. A name with capitals must be written with them: ClickHouse has toYear, but no toyear."""
    free = "|".join(name for name in names if name.islower())
    exact = "|".join(name for name in names if not name.islower())
    return " | ".join([f"/{free}/i"] * bool(free) + [f"/{exact}/"] * bool(exact))


def _of_sqlite() -> set[str]:
    """The functions that this SQLite was built with: mathematical functions are optional."""
    connection = sqlite3.connect(":memory:")
    try:
        return {name for (name,) in connection.execute("SELECT DISTINCT name FROM pragma_function_list")}
    finally:
        connection.close()


def _terminal(key: str) -> str:
    return "FUNCTION_" + (key.replace("?", "_OR_NONE").replace("*", "_ANY").upper() or "OF_NOTHING")


def _arguments(key: str, value: str) -> str:
    rules = {"e": value, "s": "STRING", "n": "NUMBER", "u": "FIELD"}
    written = ""
    for kind, mark in re.findall(r"(\w)(\W?)", key):
        one = f"COMMA {rules[kind]}" if written else rules[kind]
        written += f" ({one}){mark}" if mark else f" {one}"
    return written
