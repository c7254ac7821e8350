"""The glossary file: what the words of a company mean in one database. Reading and writing it as TOML."""

import dataclasses
import json
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.files import read_text, write_text
from chaku.plain import from_plain, to_plain

SUFFIX = ".glossary.toml"
MAX_FILE = 1_000_000  # bytes; a larger file is no glossary that people wrote
MAX_WORDS = 100  # characters of a synonym or of the name of a metric
HEADER = "# What the words of your company mean in this database: see docs/asking.md of chaku.\n"
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class ColumnEntry:
    """A column. `values`: synonyms of its values, by value. `leave_out`: prompts do not show it.

    `private`: no query may read the column, and nothing shows it or keeps its values.
    """

    synonyms: tuple[str, ...] = ()
    description: str = ""
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    leave_out: bool = False
    private: bool = False


@dataclass(frozen=True)
class TableEntry:
    """A table. `label`: the column that names a row, for questions such as "revenue by customer".

    `date`: the column that "in 2024" is about, or "orders.day" of another table. `filter`: a condition on every row
    that a metric counts. `leave_out`: prompts do not show the table.
    """

    synonyms: tuple[str, ...] = ()
    description: str = ""
    label: str = ""
    date: str = ""
    filter: str = ""
    leave_out: bool = False
    columns: dict[str, ColumnEntry] = field(default_factory=dict)


@dataclass(frozen=True)
class MetricEntry:
    """A metric: an aggregate `expression` over the rows of `table` that `filter` accepts.

    `date`: instead of the table's date; "orders.day" is a column of another table, for metrics of an order's items. All
    SQL is in the database's dialect, with bare names of the table's columns.
    """

    expression: str
    table: str
    filter: str = ""
    date: str = ""
    synonyms: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True)
class Glossary:
    """Tables and metrics by name. `joins`: preferred joins, each "orders.customer_id = customers.id" (many = one)."""

    tables: dict[str, TableEntry] = field(default_factory=dict)
    metrics: dict[str, MetricEntry] = field(default_factory=dict)
    joins: tuple[str, ...] = ()

    @property
    def private(self) -> frozenset[tuple[str, str]]:
        """The (table, column) that are private, in small letters."""
        return frozenset(
            (table.lower(), name.lower())
            for table, entry in self.tables.items()
            for name, column in entry.columns.items()
            if column.private
        )

    def public(self) -> "Glossary":
        """The glossary without what it says about private columns."""
        return dataclasses.replace(
            self,
            tables={
                table: dataclasses.replace(
                    entry, columns={name: column for name, column in entry.columns.items() if not column.private}
                )
                for table, entry in self.tables.items()
            },
        )

    def entry_of(self, table: str) -> TableEntry:
        """The entry of a table, without regard to case; an empty entry if there is none."""
        return next((entry for name, entry in self.tables.items() if name.lower() == table.lower()), TableEntry())


def load_glossary(path: Path) -> Glossary:
    """Read a glossary file. Raises ChakuError for an unknown key (naming the nearest) and for any other mistake.

    It is not compared with a database: see `check_glossary`.
    """
    if not path.is_file():
        raise ChakuError(f"the glossary {path} does not exist; `chaku sql glossary init` writes a first one")
    if (size := path.stat().st_size) > MAX_FILE:
        raise ChakuError(f"the glossary {path} has {size:,} bytes; it may have {MAX_FILE:,}")
    try:
        table = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise ChakuError(f"{path} is not a glossary in TOML: {error}") from None
    glossary: Glossary = from_plain(Glossary, table, str(path))
    return glossary


def write_glossary(path: Path, glossary: Glossary) -> None:
    """Write a glossary file, atomically."""
    write_text(path, HEADER + to_toml(glossary))


def to_toml(glossary: Glossary) -> str:
    """A glossary as TOML, without empty entries' keys."""
    plain = to_plain(glossary, lambda spec, value: value != _default(spec))
    lines: list[str] = []
    if joins := plain.pop("joins", None):
        lines.append(f"joins = {_value(joins)}")
    for section, entries in plain.items():
        for name, entry in entries.items():
            _table(lines, [section, name], entry)
    return "\n".join(lines).lstrip("\n") + "\n"


def _default(spec: "dataclasses.Field[Any]") -> Any:
    return spec.default_factory() if spec.default_factory is not dataclasses.MISSING else spec.default


def _table(lines: list[str], path: list[str], entry: dict[str, Any]) -> None:
    inner = {name: value for name, value in entry.items() if name == "columns"}
    lines += ["", f"[{'.'.join(map(_key, path))}]"]
    lines += [f"{_key(name)} = {_value(value)}" for name, value in entry.items() if name not in inner]
    for name, column in inner.get("columns", {}).items():
        _table(lines, [*path, "columns", name], column)


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {_value(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return _text(value) if isinstance(value, str) else str(value).lower()


def _text(text: str) -> str:
    """A basic string of TOML: JSON's, but that TOML also wants U+007F written as an escape."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
