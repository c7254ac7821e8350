"""The ledger: every prompt, reply, run and verdict of a synthesis, in one SQLite file.

The key of a reply is a hash of its prompt, and the key of a verdict is a hash of its job. A synthesis that was killed
is simply started again: it finds its earlier replies and verdicts in the ledger.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from chaku.errors import ChakuError
from chaku.files import explain_disk_errors, sha256_json
from chaku.instruct.asks import Ask, Reply
from chaku.instruct.evidence import Evidence, LedgerQuestion, Where
from chaku.manifest import differing
from chaku.sandbox.verdict import Job, Verdict

TABLES = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS total (name TEXT PRIMARY KEY, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS asked (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, prompt TEXT NOT NULL, sampling TEXT NOT NULL, model TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS reply (
    key TEXT NOT NULL REFERENCES asked, sample INTEGER NOT NULL, text TEXT NOT NULL, tokens INTEGER NOT NULL,
    PRIMARY KEY (key, sample)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS run (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, job TEXT NOT NULL, limits TEXT NOT NULL, verdict TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS question (
    key TEXT PRIMARY KEY, place INTEGER NOT NULL, text TEXT NOT NULL, source TEXT NOT NULL, outcome TEXT, detail TEXT);
"""


@dataclass(frozen=True)
class LedgerRun:
    """A program that was run under `limits`, and its verdict. `kind`: its purpose, such as "stub" or "mutant"."""

    key: str
    kind: str
    job: Job
    limits: Mapping[str, Any]
    verdict: Verdict


class Ledger(AbstractContextManager["Ledger"]):
    """The open file, as a context manager; use it from one thread.

    Raises ChakuError for a file that is no ledger, or that another process is writing.
    """

    def __init__(self, path: Path):
        self.path = path
        with explain_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._data = sqlite3.connect(path, timeout=1.0, isolation_level=None)
            self._data.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {TABLES}")
        except sqlite3.DatabaseError as error:
            raise ChakuError(f"{path} cannot be used as a ledger ({error}); pass another file to --ledger") from error

    def __exit__(self, *_: object) -> None:
        self._data.close()

    def begin(self, purpose: str) -> None:
        """Delete the questions and settings of another purpose; replies and verdicts stay."""
        if self.settings().get("purpose") != purpose:
            with self._transaction():
                for table in ("settings", "total", "question"):
                    self._data.execute(f"DELETE FROM {table}")
                self._data.execute("INSERT INTO settings VALUES ('purpose', ?)", (json.dumps(purpose),))

    def claim(self, settings: Mapping[str, Any]) -> None:
        """Record the settings of a synthesis. Raises ChakuError when the ledger was begun with other settings.

        The versions of libraries may differ, since keys depend on content alone.
        """
        wanted = json.loads(json.dumps(settings))
        before = {name: value for name, value in self.settings().items() if name in wanted}
        if before and (differences := differing({**before, "versions": wanted.get("versions")}, wanted)):
            raise ChakuError(
                f"{self.path} was begun with other settings: {'; '.join(differences)}. Name a new file with --ledger"
            )
        self._write("INSERT OR IGNORE INTO settings VALUES (?, ?)", [(k, json.dumps(v)) for k, v in wanted.items()])

    def settings(self) -> dict[str, Any]:
        """The recorded settings by name."""
        return {name: json.loads(value) for name, value in self._data.execute("SELECT name, value FROM settings")}

    def set_total(self, name: str, number: int) -> None:
        """Store a count for questions without rows of their own, such as exact duplicates."""
        self._write("INSERT OR REPLACE INTO total VALUES (?, ?)", [(name, number)])

    def total(self, name: str) -> int:
        row = self._data.execute("SELECT number FROM total WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def replies(self, key: str) -> list[Reply]:
        """The replies to the ask with this key, in order; empty for an ask without replies."""
        rows = self._data.execute("SELECT text, tokens FROM reply WHERE key = ? ORDER BY sample", (key,))
        return [Reply(*row) for row in rows]

    def add_replies(self, asked: Sequence[tuple[str, Ask, Sequence[Reply]]], model: Mapping[str, Any]) -> None:
        """Store the replies to some asks, in one transaction. `model`: the identity of the model that replied."""
        about = json.dumps(model)
        with self._transaction():
            for key, ask, replies in asked:
                row = (key, ask.kind, ask.prompt, json.dumps(ask.sampling()), about)
                self._data.execute("INSERT OR IGNORE INTO asked VALUES (?, ?, ?, ?, ?)", row)
                rows = [(key, sample, reply.text, reply.num_tokens) for sample, reply in enumerate(replies)]
                self._data.executemany("INSERT OR IGNORE INTO reply VALUES (?, ?, ?, ?)", rows)

    def asked(self, key: str) -> dict[str, Any]:
        """The ask with this key: its kind, prompt, sampling settings and model."""
        row = self._data.execute("SELECT kind, prompt, sampling, model FROM asked WHERE key = ?", (key,)).fetchone()
        return {"kind": row[0], "prompt": row[1], "sampling": json.loads(row[2]), "model": json.loads(row[3])}

    def num_tokens(self) -> int:
        """The number of tokens of all replies."""
        return int(self._data.execute("SELECT COALESCE(SUM(tokens), 0) FROM reply").fetchone()[0])

    def verdict(self, key: str) -> Verdict | None:
        """The verdict of the job with this key; None for a job that was not run."""
        row = self._data.execute("SELECT verdict FROM run WHERE key = ?", (key,)).fetchone()
        return _verdict(row[0]) if row else None

    def add_verdicts(self, runs: Sequence[LedgerRun]) -> None:
        """Store runs and their verdicts."""
        rows = [
            (run.key, run.kind, json.dumps(asdict(run.job)), json.dumps(run.limits), json.dumps(asdict(run.verdict)))
            for run in runs
        ]
        self._write("INSERT OR IGNORE INTO run VALUES (?, ?, ?, ?, ?)", rows)

    def runs(self) -> Iterator[LedgerRun]:
        """All runs, ordered by key."""
        for key, kind, job, limits, verdict in self._data.execute("SELECT * FROM run ORDER BY key"):
            fields = json.loads(job)
            run_job = Job(**{**fields, "tests": tuple(fields["tests"])})
            yield LedgerRun(key, kind, run_job, json.loads(limits), _verdict(verdict))

    def add_questions(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Store questions as (key, text, source), after the questions that are there."""
        start = self._data.execute("SELECT COUNT(*) FROM question").fetchone()[0]
        numbered = [(key, start + number, text, source) for number, (key, text, source) in enumerate(rows)]
        self._write("INSERT OR IGNORE INTO question (key, place, text, source) VALUES (?, ?, ?, ?)", numbered)

    def set_outcomes(self, rows: Sequence[tuple[str, Where, Evidence]]) -> None:
        """Store the outcomes of questions, as (key, reason of rejection or "kept", evidence)."""
        values = [(outcome, json.dumps(evidence.to_json()), key) for key, outcome, evidence in rows]
        self._write("UPDATE question SET outcome = ?, detail = ? WHERE key = ?", values)

    def questions(self) -> Iterator[LedgerQuestion]:
        """The questions in the order in which they were added."""
        rows = self._data.execute("SELECT key, text, source, outcome, detail FROM question ORDER BY place, key")
        for key, text, source, outcome, detail in rows.fetchall():
            yield LedgerQuestion(key, text, source, outcome, Evidence.from_json(json.loads(detail or "{}")))

    def _write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        with self._transaction():
            self._data.executemany(statement, rows)

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._data, self.path)


class _Transaction:
    def __init__(self, data: sqlite3.Connection, path: Path):
        self._data, self._path = data, path

    def __enter__(self) -> None:
        try:
            self._data.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise ChakuError(
                f"the ledger {self._path} cannot be written ({error}); if another command is using it, wait or stop it"
            ) from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._data.execute("COMMIT")
        elif self._data.in_transaction:
            self._data.execute("ROLLBACK")


def ask_key(ask: Ask, model: Mapping[str, Any]) -> str:
    """The key of an ask: a hash of the model, the prompt and the sampling settings."""
    return sha256_json([model, ask.prompt, ask.sampling()])


def run_key(job: Job, limits: Mapping[str, Any]) -> str:
    """The key of a run: a hash of the whole job and its limits."""
    fields = asdict(job)
    if not job.may_exit:
        del fields["may_exit"]  # earlier versions had no such field: their keys must stay the same
    return sha256_json([fields, limits])


def _verdict(text: str) -> Verdict:
    fields = json.loads(text)
    return Verdict(**{**fields, "tests": tuple(fields["tests"])})
