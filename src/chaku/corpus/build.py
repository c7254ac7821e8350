"""Build a corpus: read, filter, deduplicate, split, write Parquet; count what was dropped, and why."""

import hashlib
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chaku.console import progress, short, show_table
from chaku.corpus.documents import SCHEMA
from chaku.corpus.filters import reason_to_drop
from chaku.corpus.sources import OVER_CAP, Files, Raw, Source, open_source, read_files
from chaku.errors import ChakuError
from chaku.files import atomic_directory, write_json

SHARD_BYTES = 256 * 2**20  # of text in one file
ROW_GROUP_BYTES = 4 * 2**20  # of text in memory before it is written
WAVE = 16  # pieces between two looks at the caps: fixed, so that the number of workers does not change the corpus

Piece = Files | list[Raw]


def build_corpus(
    sources: Iterable[Source],
    out: Path,
    *,
    heldout_fraction: float = 0.02,
    max_bytes: dict[str, int] | None = None,
    num_workers: int = 1,
) -> dict[str, Any]:
    """Write OUT/train-NNNNN.parquet, heldout-NNNNN.parquet and summary.json; returns the summary.

    `max_bytes` caps a kind ("code") or a language ("Python"). A document is held out by the hash of its text, so that
    the same text never stands on both sides, in this corpus or the next. The directory appears whole or not at all.
    Memory holds 32 bytes a document and one row group. Raises ChakuError for a source that is not there, and when no
    document is left.
    """
    started = time.monotonic()
    max_bytes = max_bytes or {}
    sources = list(sources)
    builder = _Builder(heldout_fraction, max_bytes, {each.name: each.max_bytes for each in sources})
    with atomic_directory(out) as directory, _worker_map(num_workers) as work:
        writers = {split: _ShardWriter(directory, split) for split in ("train", "heldout")}
        for source in sources:
            total, pieces = open_source(source)
            with progress(f"corpus: {source.name}", total, "files" if total else "rows") as bar:
                while wave := list(islice(pieces, WAVE)):
                    cleaned = work(_clean, [(each, builder.full()) for each in wave])
                    for piece, documents in zip(wave, cleaned, strict=True):
                        for raw, digest, split_key in documents:
                            size = len(raw.text.encode())
                            if split := builder.admit(raw, digest, split_key, size):
                                writers[split].write(raw, digest, size)
                        num_read = len(piece.paths if isinstance(piece, Files) else piece)
                        bar.advance(num_read, f"{short(sum(builder.source_sizes.values()))}B kept")
        for writer in writers.values():
            writer.close()
        if not builder.kept:
            reasons = ", ".join(f"{count} {reason}" for (reason, _), (count, _) in builder.drops()[:5])
            names = ", ".join(each.name for each in sources)
            raise ChakuError(f"no document is left of the sources {names} (dropped: {reasons or 'nothing was there'})")
        summary = {
            "kept": [
                {"kind": kind, "language": language, "split": split, "documents": count, "bytes": size}
                for (kind, language, split), (count, size) in sorted(builder.kept.items())
            ],
            "dropped": [
                {"reason": reason, "language": language, "documents": count, "bytes": size}
                for (reason, language), (count, size) in builder.drops()
            ],
            "sources": [each.name for each in sources],
            "seconds": time.monotonic() - started,
        }
        write_json(directory / "summary.json", summary)
    return summary


def show_summary(summary: dict[str, Any]) -> None:
    """Print what a corpus holds, and what was dropped and why."""
    kept: dict[tuple[str, str], list[int]] = {}
    for row in summary["kept"]:
        entry = kept.setdefault((row["kind"], row["language"]), [0, 0, 0])
        entry[0] += row["documents"]
        entry[1] += row["bytes"]
        entry[2] += row["bytes"] if row["split"] == "heldout" else 0
    largest = sorted(kept.items(), key=lambda item: -item[1][1])
    rows: list[list[object]] = [
        [f"{language} ({kind})", f"{count:,}", f"{size / 1e6:.2f}", f"{heldout / 1e6:.2f}"]
        for (kind, language), (count, size, heldout) in largest[:12]
    ]
    if others := largest[12:]:
        totals = [sum(each[index] for _, each in others) for index in range(3)]
        rows.append([f"{len(others)} others", f"{totals[0]:,}", f"{totals[1] / 1e6:.2f}", f"{totals[2] / 1e6:.2f}"])
    show_table("corpus", ["language", "documents", "MB", "held out MB"], rows)
    dropped: Counter[str] = Counter()
    for row in summary["dropped"]:
        dropped[row["reason"]] += row["documents"]
    show_table("dropped", ["reason", "documents"], [[reason, f"{count:,}"] for reason, count in dropped.most_common()])


def _clean(task: tuple[Piece, frozenset[str]]) -> list[tuple[Raw, bytes, bytes]]:
    """In a worker: read a piece, judge each document; returns each with the hash of its text and of what it is from."""
    piece, full = task
    results = []
    for raw in piece if isinstance(piece, list) else read_files(piece, full):
        problem = raw.problem or reason_to_drop(raw.text, raw.kind, raw.language)
        if problem:
            size_only = Raw(raw.path, raw.text, raw.kind, raw.language, raw.source, problem=problem)
            results.append((size_only, b"", b""))
        else:
            digest = hashlib.sha256(raw.text.encode()).digest()
            results.append((raw, digest, hashlib.sha256(raw.origin.encode()).digest() if raw.origin else digest))
    return results


class _Builder:
    """What was kept and dropped so far, and the decision on the next document."""

    def __init__(self, heldout_fraction: float, max_bytes: dict[str, int], source_caps: dict[str, int | None]):
        if not 0 <= heldout_fraction < 1:
            raise ChakuError(f"heldout_fraction is {heldout_fraction}; it must be at least 0 and below 1")
        self.heldout_below = heldout_fraction * 2**64
        self.max_bytes = max_bytes
        self.source_caps = source_caps
        self.kept: dict[tuple[str, str, str], list[int]] = {}
        self.dropped: dict[tuple[str, str], list[int]] = {}
        self.sizes: Counter[str] = Counter()
        self.source_sizes: Counter[str] = Counter()
        self.seen: set[bytes] = set()

    def full(self) -> frozenset[str]:
        """The kinds and languages that have reached their cap."""
        return frozenset(name for name, cap in self.max_bytes.items() if self.sizes[name] >= cap)

    def admit(self, raw: Raw, digest: bytes, split_key: bytes, size: int) -> str | None:
        """The split of a document, or None when it is dropped."""
        problem = raw.problem
        source_cap = self.source_caps.get(raw.source)
        if problem is None and digest in self.seen:
            problem = "same text as another"
        elif problem is None and not self.full().isdisjoint((raw.kind, raw.language)):
            problem = OVER_CAP
        elif problem is None and source_cap is not None and self.source_sizes[raw.source] >= source_cap:
            problem = "over the cap of its source"
        if problem is not None:
            _count(self.dropped, (problem, raw.language), size)
            return None
        self.seen.add(digest)
        self.sizes[raw.kind] += size
        self.sizes[raw.language] += size
        self.source_sizes[raw.source] += size
        split = "heldout" if int.from_bytes(split_key[:8], "big") < self.heldout_below else "train"
        _count(self.kept, (raw.kind, raw.language, split), size)
        return split

    def drops(self) -> list[tuple[tuple[str, str], list[int]]]:
        return sorted(self.dropped.items(), key=lambda item: (-item[1][0], item[0]))


def _count(table: dict[Any, list[int]], key: tuple[str, ...], size: int) -> None:
    entry = table.setdefault(key, [0, 0])
    entry[0] += 1
    entry[1] += size


class _ShardWriter:
    """DIRECTORY/SPLIT-NNNNN.parquet, a row group at a time; a new file when one is full."""

    def __init__(self, directory: Path, split: str):
        self.directory, self.split = directory, split
        self.num_shards = self.shard_bytes = self.waiting_bytes = 0
        self.waiting: list[dict[str, object]] = []
        self.file: pq.ParquetWriter | None = None

    def write(self, raw: Raw, digest: bytes, size: int) -> None:
        fields = {"text": raw.text, "path": raw.path, "language": raw.language, "kind": raw.kind}
        about = {"license": raw.license, "source": raw.source, "sha256": digest.hex(), "bytes": size}
        self.waiting.append({**fields, **about})
        self.waiting_bytes += size
        if self.waiting_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        if self.waiting or self.num_shards == 0:
            self._flush()
        if self.file:
            self.file.close()

    def _flush(self) -> None:
        if self.file is None or self.shard_bytes >= SHARD_BYTES:
            if self.file:
                self.file.close()
            path = self.directory / f"{self.split}-{self.num_shards:05}.parquet"
            self.file = pq.ParquetWriter(path, SCHEMA, compression="zstd")
            self.num_shards += 1
            self.shard_bytes = 0
        self.file.write_table(pa.Table.from_pylist(self.waiting, SCHEMA))
        self.shard_bytes += self.waiting_bytes
        self.waiting, self.waiting_bytes = [], 0


@contextmanager
def _worker_map(num_workers: int) -> Iterator[Any]:
    """A `map` that keeps order, over so many processes; in this one when there is one."""
    if num_workers <= 1:
        yield map
        return
    # Spawned, not forked: the parent may hold threads, whose locks a fork would copy locked.
    with ProcessPoolExecutor(num_workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool.map
