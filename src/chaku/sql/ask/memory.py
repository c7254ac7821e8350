"""Correct and remember: questions with the SQL that somebody approved, kept on this machine, one file a database."""

import hashlib
import json
import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from chaku.errors import ChakuError
from chaku.files import write_text
from chaku.sql.schema.linking import words_of

LEAST_LIKENESS = 0.3  # of two questions, for the one to be an example for the other


@dataclass(frozen=True)
class Pair:
    """An approved question; `db_id` and the names of the fields are those of a plain data set, see `datasets`."""

    question: str
    query: str
    db_id: str


class Memory:
    """The pairs of one file. What is remembered is on the disk before `remember` returns."""

    def __init__(self, path: Path):
        self.path = path
        self.pairs: list[Pair] = []
        if path.is_file():
            # Not `splitlines`: a query may hold other ends of lines than \n, and they are written as they are.
            for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
                if not line.strip():
                    continue
                try:
                    self.pairs.append(Pair(**json.loads(line)))
                except (ValueError, TypeError):
                    raise ChakuError(
                        f"{path}, line {number}, is not a remembered pair; put it right or delete it"
                    ) from None

    def remember(self, question: str, query: str, db_id: str) -> None:
        """Keep a pair; a question asked before gets the new query."""
        pair = Pair(" ".join(question.split()), query.strip().rstrip(";").strip(), db_id)
        self.pairs = [old for old in self.pairs if old.question.casefold() != pair.question.casefold()] + [pair]
        self._write(self.path)

    def similar(self, question: str, limit: int = 3) -> list[Pair]:
        """The pairs whose questions are most like this one, the likest first."""
        asked = words_of(question)
        scored = [(_likeness(asked, words_of(pair.question)), pair) for pair in self.pairs]
        likely = sorted((pair for pair in scored if pair[0] >= LEAST_LIKENESS), key=lambda pair: -pair[0])
        return [pair for _, pair in likely[:limit]]

    def export(self, path: Path) -> int:
        """Write the pairs as a data set to train on; returns their number. Raises ChakuError when there are none."""
        if not self.pairs:
            raise ChakuError(f"nothing is remembered yet in {self.path}")
        self._write(path)
        return len(self.pairs)

    def _write(self, path: Path) -> None:
        write_text(path, "".join(json.dumps(asdict(pair), ensure_ascii=False) + "\n" for pair in self.pairs))


def memory_path(name: str, location: str) -> Path:
    """Where a database's pairs are kept: by its name and a hash of its location, which may hold a password."""
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "chaku" / "sql" / f"{file_name(name, location)}.jsonl"


def file_name(name: str, location: str) -> str:
    """A database's name for files that are kept about it: no password is in it."""
    plain = "".join(character if character.isalnum() else "-" for character in name)
    return f"{plain}-{hashlib.sha256(location.encode()).hexdigest()[:12]}"


def _likeness(one: Counter[str], other: Counter[str]) -> float:
    """Words in common, of all of both: Dice's coefficient."""
    total = sum(one.values()) + sum(other.values())
    return 2 * sum((one & other).values()) / total if total else 0.0
