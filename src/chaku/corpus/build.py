"""Build a corpus: read, filter, deduplicate, split, write Parquet; count the dropped documents by reason."""

import itertools
import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from chaku.cluster import current
from chaku.console import progress, say, short, show_table
from chaku.corpus.admission import Admission
from chaku.corpus.build_progress import BuildProgress, read_progress, remove_progress, write_progress
from chaku.corpus.cleaning.cleaner import Cleaning, cleaner
from chaku.corpus.lineage.data_card import write_card
from chaku.corpus.lineage.write import PREFIX, LineageWriter, write_lineage
from chaku.corpus.near_duplicates.config import NearDuplicatesConfig
from chaku.corpus.near_duplicates.drop import drop_near_duplicates, forget_work
from chaku.corpus.reading.file_list import list_files, write_file_list
from chaku.corpus.reading.remote_files import is_url
from chaku.corpus.reading.sources import Files, Source, as_utf8, open_source, source_files
from chaku.corpus.seen_hashes import SeenHashes
from chaku.corpus.shard_assembly import Assembly
from chaku.corpus.shards import documents_sha256
from chaku.corpus.worker_tasks import PARTS, Found, Piece, PieceTask, clean_piece
from chaku.corpus.workers import worker_map
from chaku.errors import ChakuError
from chaku.files import resumable_directory, sha256_file, write_json
from chaku.jsonl import write_lines
from chaku.ownership import check_ours, mark_as_ours
from chaku.plain import result_settings

SEEN = "seen"  # the directory of hashes, while a corpus is built
CORPUS = "corpus"  # the kind in the directory's marker
WAVE = 16  # pieces between two checks of the caps: fixed, so that the number of workers does not change the corpus

STANDARD = Cleaning()


@dataclass(frozen=True, slots=True)
class Wave:
    """Pieces that are cleaned together. `full`: the kinds and languages that were full when it began."""

    tasks: list[PieceTask]
    full: frozenset[str]
    results: Iterator[tuple[list[Found], dict[str, str]]]


def build_corpus(
    sources: Iterable[Source],
    out: Path,
    *,
    heldout_fraction: float = 0.02,
    max_bytes: dict[str, int] | None = None,
    num_workers: int = 1,
    near_duplicates: NearDuplicatesConfig | None = None,
    cleaning: Cleaning = STANDARD,
) -> dict[str, Any]:
    """Build a corpus in the directory `out` with `fill_corpus`; returns its summary.

    `out` changes only when the new corpus is whole; a corpus that chaku built there before is then replaced. After a
    kill, the next call resumes. Raises ChakuError, before any work, for a directory that holds other files, and as
    `fill_corpus` does.
    """
    check_ours(out, CORPUS)
    sources, max_bytes = list(sources), max_bytes or {}
    made_from = {
        "sources": result_settings(sources),
        "heldout_fraction": heldout_fraction,
        "max_bytes": max_bytes,
        **result_settings(cleaning),
        **cleaning.files(),
    }
    if near_duplicates:
        made_from["near_duplicates"] = result_settings(near_duplicates)
    with resumable_directory(out, made_from) as directory:
        mark_as_ours(directory, CORPUS)
        return fill_corpus(
            sources,
            directory,
            heldout_fraction=heldout_fraction,
            max_bytes=max_bytes,
            num_workers=num_workers,
            near_duplicates=near_duplicates,
            cleaning=cleaning,
        )


def fill_corpus(
    sources: Iterable[Source],
    directory: Path,
    *,
    heldout_fraction: float = 0.02,
    max_bytes: dict[str, int] | None = None,
    num_workers: int = 1,
    near_duplicates: NearDuplicatesConfig | None = None,
    cleaning: Cleaning = STANDARD,
) -> dict[str, Any]:
    """Write DIRECTORY/train-NNNNN.parquet, heldout-NNNNN.parquet, summary.json and other files; returns the summary.

    `max_bytes` caps a kind ("code") or a language ("Python"). The hash of a document's text decides whether the
    document is held out, so that the same text is never in both splits, in this corpus or the next. Shards that an
    earlier call finished are kept, unless a source file has changed since. `near_duplicates`, if given, are dropped
    at the end, so that the caps count them. Memory holds the paths and hashes of the source files, and the pieces that
    are in work; it does not grow with the number of documents. Raises ChakuError for a source that does not exist, and
    when no document is left.
    """
    if cleaning.opt_out:
        cleaner.cache_clear()  # the list may have changed since an earlier build of this process
    cleaner(cleaning)  # a mistake in its settings is an error before any work
    started = time.monotonic()
    sources, max_bytes = list(sources), max_bytes or {}
    files = list_files(sources)
    seen = SeenHashes(directory / SEEN)
    admission = Admission(heldout_fraction, max_bytes, {source.name: source.max_bytes for source in sources}, seen)
    reached, hashes = read_progress(directory, files, admission)
    if reached != BuildProgress():
        say("corpus: resuming after the finished shards")
    lineage = LineageWriter(directory, reached.num_shards.get(PREFIX, 0))
    admission.record = lineage.record
    if (cluster := current()) is not None:
        places = [Path(source.path) for source in sources if source.type in ("tree", "git")]
        cluster.check_shared([directory, *places, *([Path(cleaning.opt_out)] if cleaning.opt_out else [])])
    with worker_map(num_workers) as work:
        assembly = Assembly(directory, reached.num_shards, work, num_workers)

        def recorder(source: int, waves: int) -> Callable[[], None]:
            """What records that all documents before this place are in finished shards."""
            num_shards = {**assembly.num_shards_after_cut(), PREFIX: lineage.num_shards}
            place, state = BuildProgress(source, waves, num_shards), admission.state()
            return lambda: write_progress(directory, place, hashes, files, state)

        numbers = itertools.count()
        for number, source in enumerate(sources[reached.source :], reached.source):
            total, pieces = open_source(source)
            waves = reached.waves if number == reached.source else 0
            before = sum(_num_read(piece) for piece in islice(pieces, waves * WAVE))
            with progress(f"corpus: {source.name}", total, "files" if total else "rows", initial=before) as bar:

                def clean(wave: list[Piece], wants_hashes: bool = source.type != "machine") -> Wave:
                    full = admission.full()
                    tasks = [
                        PieceTask(directory / PARTS, next(numbers), piece, full, wants_hashes, cleaning)
                        for piece in wave
                    ]
                    return Wave(tasks, full, work(clean_piece, tasks))

                for wave in _in_order(pieces, clean, admission, 1 + max(1, 2 * num_workers // WAVE)):
                    for task, (found, read) in zip(wave.tasks, wave.results, strict=True):
                        hashes |= read
                        assembly.add_piece(task.number)
                        seen.look_up(document.digest for document in found if document.row >= 0)
                        for document in found:
                            size = document.size
                            split = admission.admit(document.raw, document.digest, document.split_key, size)
                            if split:
                                assembly.add(split, task.number, document.row, size)
                        bar.advance(_num_read(task.piece), f"{short(sum(admission.source_sizes.values()))}B kept")
                    waves += 1
                    if assembly.is_full:
                        lineage.finish_shard()
                        assembly.cut(recorder(number, waves))
        lineage.finish_shard()
        assembly.close(recorder(len(sources), 0) if near_duplicates and admission.kept else lambda: None)
        if near_duplicates and admission.kept:
            for row in drop_near_duplicates(directory, near_duplicates, work):
                admission.drop_later(*row)
        rows = [
            path
            for source in sources
            if source.type in ("jsonl", "parquet", "commits")
            if not is_url(source.path)  # files under a URL have versions, and are not loaded again for a hash
            for path in source_files(source)
        ]
        hashes |= zip((as_utf8(str(path)) for path in rows), work(sha256_file, rows), strict=True)
    if not admission.kept:
        reasons = ", ".join(f"{count} {reason}" for (reason, _), (count, _) in admission.drops()[:5])
        names = ", ".join(source.name for source in sources)
        raise ChakuError(
            f"no document is left of the sources {names} (dropped: {reasons or 'nothing; the sources are empty'}); "
            "check their paths, patterns and caps"
        )
    write_file_list(directory, files, hashes)
    summary: dict[str, Any] = {
        "kept": [
            {"kind": kind, "language": language, "split": split, "documents": count, "bytes": size}
            for (kind, language, split), (count, size) in sorted(admission.kept.items())
        ],
        "dropped": [
            {"reason": reason, "language": language, "documents": count, "bytes": size}
            for (reason, language), (count, size) in admission.drops()
        ],
        "checked_problems": cleaner(cleaning).decontamination.num_problems,
        "samples": admission.samples,
        "replaced": [
            {"what": what, "documents": count, "places": places}
            for what, (count, places) in sorted(admission.replaced.items())
        ],
        "sources": [source.name for source in sources],
        "seconds": time.monotonic() - started,
        "documents_sha256": documents_sha256(directory),
    }
    if near_duplicates and near_duplicates.against:
        summary["against"] = {corpus: documents_sha256(Path(corpus)) for corpus in near_duplicates.against}
    write_lines(directory / "contamination.jsonl", admission.hits)
    write_card(directory, summary, write_lineage(directory, sources, cleaning, near_duplicates))
    write_json(directory / "summary.json", summary)
    remove_progress(directory)
    forget_work(directory)
    seen.forget()
    shutil.rmtree(directory / PARTS, ignore_errors=True)
    return summary


def show_summary(summary: dict[str, Any]) -> None:
    """Print two tables: the languages that a corpus holds, and the dropped documents by reason."""
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
        totals = [sum(counts[index] for _, counts in others) for index in range(3)]
        rows.append([f"{len(others)} others", f"{totals[0]:,}", f"{totals[1] / 1e6:.2f}", f"{totals[2] / 1e6:.2f}"])
    show_table("corpus", ["language", "documents", "MB", "held out MB"], rows)
    dropped: Counter[str] = Counter()
    for row in summary["dropped"]:
        dropped[row["reason"]] += row["documents"]
    show_table("dropped", ["reason", "documents"], [[reason, f"{count:,}"] for reason, count in dropped.most_common()])
    if replaced := summary.get("replaced"):  # an earlier version had none
        amounts: list[list[object]] = [[row["what"], f"{row['documents']:,}", f"{row['places']:,}"] for row in replaced]
        show_table("replaced", ["secrets and personal data", "documents", "places"], amounts)


def _num_read(piece: Piece) -> int:
    if isinstance(piece, list):
        return len(piece)
    return len(piece.paths if isinstance(piece, Files) else piece.pack.rows)


def _in_order(
    pieces: Iterator[Piece], clean: Callable[[list[Piece]], Wave], admission: Admission, num_ahead: int
) -> Iterator[Wave]:
    """Waves of cleaned pieces. `num_ahead` waves are in work, so that no worker waits for the end of a wave.

    A wave whose kinds and languages reached a cap meanwhile is cleaned again, as if it had been begun only now.
    """
    ahead: deque[Wave] = deque()
    while True:
        while len(ahead) < num_ahead and (wave := list(islice(pieces, WAVE))):
            ahead.append(clean(wave))
        if not ahead:
            return
        first = ahead.popleft()
        yield first if first.full == admission.full() else clean([task.piece for task in first.tasks])
