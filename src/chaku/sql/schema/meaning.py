"""Finds the tables and remembered questions that mean what a question means, by an embedder's vectors."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chaku.errors import ChakuError
from chaku.files import atomic_file
from chaku.sql.schema.definition import Schema, Table
from chaku.sql.schema.words import normalize, spaced

if TYPE_CHECKING:
    import numpy as np

    from chaku.inference.embeddings import Embedder

EMBED_SECONDS = 60.0  # for the vectors of tables and remembered questions, for one question
TEXTS_AT_ONCE = 32  # whose vectors are kept even if the next ones fail
REST_SECONDS = 60.0  # an embedder that failed after LONG_SECONDS or more is not asked for so long: somebody waits
LONG_SECONDS = 1.0
TABLE_CHARS = 400  # characters of a table's text; more columns would blur its meaning
# Questions about nothing that a database has: as near as they are to a question, a remembered one says nothing.
UNRELATED = (
    "What is the meaning of life?",
    "Tell me a joke about cats.",
    "Why is the sky blue?",
    "How do I boil an egg?",
    "今天天气怎么样？",
)


class Meaning:
    """The vectors of one database's tables and remembered questions, kept in the file `cache` (None: in memory).

    An embedder that fails, such as a server that goes away, ends no question: nothing is near by meaning then, and
    `trouble` says why. It is asked again for the next question, or after REST_SECONDS if the failure took long. Vectors
    that take longer than EMBED_SECONDS go on with the next question.
    """

    def __init__(self, embedder: "Embedder", cache: Path | None = None):
        self.embedder, self.cache = embedder, cache
        self._known: dict[str, np.ndarray] = {}
        self._used: set[str] = set()  # the cache forgets the other texts when it is written
        self._asked: tuple[str, np.ndarray] | None = None
        self._failed = ("", "", 0.0)  # the question when the embedder failed, its error, and when to ask it again
        if cache and cache.is_file():
            self._load(cache)

    def tables(self, question: str, schema: Schema) -> list[float]:
        """How much nearer than usual each table is to a question, in standard deviations; below 0 for most tables.

        0 for all tables if the embedder fails.
        """
        near = self._near(question, [table_text(table) for table in schema.tables])
        if near is None:
            return [0.0] * len(schema.tables)
        spread = float(near.std())
        return [float(value) for value in (near - near.mean()) / spread] if spread else [0.0] * len(near)

    def likeness(self, question: str, others: Sequence[str]) -> list[float]:
        """How like a question others are: 1 for the same, 0 for questions about something else.

        0 for all if the embedder fails.
        """
        near = self._near(question, [*UNRELATED, *others])
        if near is None:
            return [0.0] * len(others)
        usual = float(near[: len(UNRELATED)].max())
        return [float(value) for value in (near[len(UNRELATED) :] - usual) / max(1 - usual, 1e-6)]

    def trouble(self, question: str) -> str:
        """Why nothing is found by meaning for a question; "" if the embedder may be asked."""
        failed, error, again = self._failed
        return error if failed == question or time.monotonic() < again else ""

    def _near(self, question: str, texts: Sequence[str]) -> "np.ndarray | None":
        """The cosines of a question and texts; None if the embedder fails, or has failed for this question."""
        if self.trouble(question):
            return None
        started = time.monotonic()
        try:
            vector = self._vector(question)
            if any(len(known) != len(vector) for known in self._known.values()):
                self._known = {}  # the server has another model under the same name
            vectors = self._vectors(texts)
        except ChakuError as error:
            took_long = time.monotonic() - started >= LONG_SECONDS
            self._failed = question, str(error), time.monotonic() + REST_SECONDS * took_long
            return None
        if vectors is None:
            count = sum(text in self._known for text in texts)
            why = f"{count} of {len(texts)} tables have their vectors; the next question goes on"
            self._failed = (question, why, 0.0)
            return None
        return vectors @ vector

    def _vector(self, question: str) -> "np.ndarray":
        if self._asked is None or self._asked[0] != question:
            self._asked = question, self.embedder.embed([question])[0]
        return self._asked[1]

    def _vectors(self, texts: Sequence[str]) -> "np.ndarray | None":
        """The vectors of texts; None if EMBED_SECONDS were too few for all of them."""
        import numpy as np

        self._used.update(texts)
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        started = time.monotonic()
        try:
            for at in range(0, len(missing), TEXTS_AT_ONCE):
                if time.monotonic() - started > EMBED_SECONDS:
                    return None
                part = missing[at : at + TEXTS_AT_ONCE]
                self._known.update(zip(part, self.embedder.embed(part), strict=True))
        finally:
            if missing and self._known and self.cache:
                self._save(self.cache)
        return np.stack([self._known[text] for text in texts])

    def _load(self, path: Path) -> None:
        """Read the cached vectors of this embedder; a broken file, or another embedder's, will be overwritten."""
        import zipfile

        import numpy as np

        try:
            with np.load(path, allow_pickle=False) as stored:
                if str(stored["identity"]) == self.embedder.identity:
                    texts = str(stored["texts"]).split("\n")
                    self._known = dict(zip(texts, stored["vectors"], strict=True))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            self._known = {}

    def _save(self, path: Path) -> None:
        import numpy as np

        kept = {text: vector for text, vector in self._known.items() if text in self._used}
        texts, vectors = "\n".join(kept), np.stack([*kept.values()])
        with atomic_file(path) as temporary:
            temporary.chmod(0o600)  # it has names of columns, and questions
            with temporary.open("wb") as file:
                np.savez(file, identity=self.embedder.identity, texts=texts, vectors=vectors)


def table_text(table: Table) -> str:
    """A table as one line of words, for an embedder."""
    name = normalize(spaced(table.bare_name))
    columns = dict.fromkeys(normalize(spaced(column.comment or column.name)) for column in table.columns)
    about = f", {table.comment}" if table.comment else ""
    return " ".join(f"{name}{about}: {', '.join(columns)}"[:TABLE_CHARS].split())
