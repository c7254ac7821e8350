"""A writer of queries that keeps every text on disk, so that steps are compared on the same samples."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaku.files import sha256_json
from chaku.journal import Journal
from chaku.sql.ask.writer import Asked, ModelWriter
from chaku.sql.schema.definition import Schema


@dataclass(frozen=True)
class Kept:
    """The texts of one prompt. `seconds`: processor time to write them."""

    texts: list[str]
    seconds: float


class KeepingWriter:
    """Asks `writer` only for texts that are not in the file `path`; implements `Writer`.

    Fewer samples of a prompt are the first of its kept samples, and count their part of the time. `spent`: processor
    seconds that the texts took when they were written, now or in an earlier run. `waited`: the seconds on the clock of
    this run. A caller may set both to 0.
    """

    def __init__(self, writer: ModelWriter, path: Path):
        self.writer, self.form, self.max_prompt_tokens = writer, writer.form, writer.max_prompt_tokens
        self.count_tokens = writer.count_tokens
        self._journal = Journal(path)
        self._kept = {
            (row["prompt"], len(row["texts"])): Kept(row["texts"], row["seconds"]) for row in self._journal.rows
        }
        self.spent = self.waited = 0.0

    def write(self, asked: Sequence[Asked], num_samples: int) -> list[list[str]]:
        """`num_samples` texts for each prompt, in the prompts' order."""
        began = time.monotonic()
        names = [sha256_json([prompt, self.writer.seed]) for prompt, _ in asked]
        missing = {name: one for name, one in zip(names, asked, strict=True) if self._find(name, num_samples) is None}
        if missing:
            started = time.process_time()
            written = self.writer.write([*missing.values()], num_samples)
            seconds = (time.process_time() - started) / len(missing)
            made = {name: Kept(texts, seconds) for name, texts in zip(missing, written, strict=True)}
            self._journal.append({"prompt": name, **asdict(kept)} for name, kept in made.items())
            self._kept |= {(name, num_samples): kept for name, kept in made.items()}
        found = [self._find(name, num_samples) for name in names]
        self.spent += sum(kept.seconds * num_samples / len(kept.texts) for kept in found if kept)
        self.waited += time.monotonic() - began
        return [kept.texts[:num_samples] for kept in found if kept]

    def write_each(self, prompt: str, schema: Schema, num_samples: int) -> Iterator[tuple[int, str]]:
        """(number of the sample, its text) for one prompt, when all are written."""
        yield from enumerate(self.write([(prompt, schema)], num_samples)[0])

    def _find(self, name: str, num_samples: int) -> Kept | None:
        counts = sorted(count for kept, count in self._kept if kept == name and count >= num_samples)
        return self._kept[name, counts[0]] if counts else None

    def __enter__(self) -> "KeepingWriter":
        return self

    def __exit__(self, *reason: Any) -> None:
        self._journal.__exit__(*reason)
