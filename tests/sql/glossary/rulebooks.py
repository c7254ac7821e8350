"""Databases with their glossaries, for the tests of rules."""

import os
from datetime import date
from pathlib import Path

from chaku.sql.execute.database import Database
from chaku.sql.glossary.check import require_fitting
from chaku.sql.glossary.file import load_glossary
from chaku.sql.glossary.rules import Rules
from chaku.sql.schema.knowledge import Knowledge

HERE = Path(__file__).parent
TODAY = {"shop": date(2024, 6, 15), "dog_kennels": date(2018, 3, 25), "world_1": date(2024, 1, 1)}
BENCHMARKS = os.environ.get("CHAKU_BENCHMARKS")


def lines_of(name: str, database: str) -> list[list[str]]:
    """The lines of a table file (tabs between cells) that are about a database, without its name."""
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [cells[1:] for cells in (line.split("\t") for line in lines) if cells[0] == database]


def rules_of(database: Database, glossary: Path) -> Rules:
    """A glossary at work on a database that it fits."""
    knowledge, words = Knowledge(database), load_glossary(glossary)
    require_fitting(words, knowledge.schema, knowledge.values, database.is_unique)
    return Rules(words, knowledge.schema, knowledge.values)
