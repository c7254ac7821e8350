"""Remembers questions with the SQL that a user approved, in one file for each database on this machine."""

import hashlib
import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chaku.errors import ChakuError
from chaku.jsonl import read_lines, write_lines
from chaku.sql.schema.words import words_of

if TYPE_CHECKING:
    from chaku.sql.execute.runner import Result
    from chaku.sql.schema.meaning import Meaning

LEAST_LIKENESS = 0.3  # of a remembered question, to serve as an example


@dataclass(frozen=True)
class Pair:
    """An approved question and query. The fields are the fields of a plain data set; see `datasets`."""

    question: str
    query: str
    db_id: str


class Memory:
    """The pairs of one file. Raises ChakuError for a line of the file that is not a pair."""

    def __init__(self, path: Path):
        self.path = path
        self.pairs: list[Pair] = []
        for number, row in read_lines(path) if path.is_file() else ():
            try:
                self.pairs.append(Pair(**row))
            except TypeError:
                raise ChakuError(
                    f"{path}, line {number} is not a remembered pair; correct the line or delete it"
                ) from None

    def remember(self, question: str, query: str, db_id: str) -> None:
        """Store a pair on disk; a question that is already there gets the new query."""
        pair = Pair(" ".join(question.split()), query.strip().rstrip(";").strip(), db_id)
        self.pairs = [old for old in self.pairs if old.question.casefold() != pair.question.casefold()] + [pair]
        self._write(self.path)

    def remember_run(self, question: str, query: str, result: "Result", db_id: str) -> None:
        """Store a pair whose query ran. Raises ChakuError when its `result` says that it did not run."""
        if not result.ok:
            raise ChakuError(f"not remembered, as the query does not run: {result.reason}")
        self.remember(question, query, db_id)

    def similar(self, question: str, limit: int = 3, meaning: "Meaning | None" = None) -> list[Pair]:
        """At most `limit` pairs with the most similar questions, the most similar first: by words, and by `meaning`."""
        asked = words_of(question)
        by_words = [_likeness(asked, words_of(pair.question)) for pair in self.pairs]
        likenesses = by_words
        if meaning and self.pairs:
            by_meaning = meaning.likeness(question, [pair.question for pair in self.pairs])
            likenesses = [max(pair) for pair in zip(by_words, by_meaning, strict=True)]
        scored = list(zip(likenesses, self.pairs, strict=True))
        likely = sorted((pair for pair in scored if pair[0] >= LEAST_LIKENESS), key=lambda pair: -pair[0])
        return [pair for _, pair in likely[:limit]]

    def export(self, path: Path) -> int:
        """Write the pairs as a data set to train on; returns their number. Raises ChakuError when there are none."""
        if not self.pairs:
            raise ChakuError(f"nothing is remembered yet in {self.path}; approve an answer first")
        self._write(path)
        return len(self.pairs)

    def _write(self, path: Path) -> None:
        write_lines(path, (asdict(pair) for pair in self.pairs))


def memory_path(name: str, location: str) -> Path:
    """The file of a database's pairs. Its name has a hash of the location, which may contain a password."""
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "chaku" / "sql" / f"{file_name(name, location)}.jsonl"


def file_name(name: str, location: str) -> str:
    """A name for files about a database, without the password that its location may contain."""
    plain = "".join(character if character.isalnum() else "-" for character in name)
    return f"{plain}-{hashlib.sha256(location.encode()).hexdigest()[:12]}"


def _likeness(one: Counter[str], other: Counter[str]) -> float:
    """Dice's coefficient of the words: 0 to 1."""
    total = sum(one.values()) + sum(other.values())
    return 2 * sum((one & other).values()) / total if total else 0.0
