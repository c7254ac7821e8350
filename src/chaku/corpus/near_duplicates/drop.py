"""Drop near-duplicates from a corpus: files or whole repositories of which it, or an earlier corpus, has a copy."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chaku.console import progress
from chaku.corpus.near_duplicates.config import NearDuplicatesConfig
from chaku.corpus.near_duplicates.gram_store import NO_KEY, REPOSITORY, GramStore, has_unit, write_unit
from chaku.corpus.near_duplicates.groups import best_first, duplicates, find_groups
from chaku.corpus.near_duplicates.minhash import distinct, gram_sets, joined
from chaku.corpus.shards import corpus_files
from chaku.documents import ABOUT_COPIES, COMMIT, DOCSTRINGS, DROPPED, PIECE
from chaku.errors import ChakuError
from chaku.files import atomic_file, read_json, write_json

NEAR_DUPLICATE, PART, IN_REPOSITORY = REASONS = (
    "near-duplicate",
    "part of a near-duplicate",
    "in a near-duplicate repository",
)
DUPLICATES = "near-duplicates.parquet"  # in the directory of a corpus: each copy that was dropped, and the copy kept
WORK = "near-duplicates"  # the directory of unfinished work in the directory of a corpus
UNIT_GROUPS = 16  # row groups of a file in a unit of work: 64 MiB of text
UNIT_GRAMS = 1 << 24  # n-grams of repositories in a unit: 64 MiB
LIST = pa.schema([(name, pa.string()) for name in ("path", "source", "kept_path", "kept_source")])
_ABOUT = ("path", "source", "repository", "stars", "date")
Key = tuple[str, str, str, str]  # reason, kind, language, split


@dataclass(frozen=True)
class _Unit:
    """Row groups of a file. `before`: the file is of an earlier corpus."""

    number: int
    path: Path
    groups: range
    before: bool


def drop_near_duplicates(directory: Path, config: NearDuplicatesConfig, work: Callable[..., Any]) -> list[list[Any]]:
    """Write the Parquet files of a corpus again without near-duplicates, and near-duplicates.parquet, their list.

    `work`: a `map`, as `worker_map` yields it. Returns [reason, kind, language, split, documents, bytes] of what was
    dropped. The directory's work is kept until `forget_work`, so that a killed call goes on. It takes about half as
    much disk as the text. Raises ChakuError for an earlier corpus that is not there.
    """
    within = directory / WORK
    done = within / "dropped.json"
    if not done.exists():
        within.mkdir(exist_ok=True)
        before = [path for corpus in config.against for path in _corpus_before(Path(corpus))]
        units = _units([(path, True) for path in before] + [(path, False) for path in corpus_files(directory)])
        with progress("near-duplicates", len(units), "parts") as bar:
            for _ in work(_write_unit, [(within / "files", unit) for unit in units]):
                bar.advance(1)
        reasons = _find(within, len(units), config)
        firsts = GramStore(within / "files", len(units)).firsts.tolist()
        tasks = []
        for path in corpus_files(directory):
            numbers = [unit.number for unit in units if unit.path == path]
            if numbers and (part := reasons[firsts[numbers[0]] : firsts[numbers[-1] + 1]]).any():
                tasks.append((path, within / path.name, part))
        counts: Counter[Key] = Counter()
        sizes: Counter[Key] = Counter()
        for num_documents, num_bytes in work(_rewrite, tasks):
            counts += num_documents
            sizes += num_bytes
        write_json(done, [[*key, counts[key], sizes[key]] for key in sorted(counts)])
    for path in within.glob("*.parquet"):
        path.replace(directory / path.name)
    dropped: list[list[Any]] = read_json(done)
    return dropped


def forget_work(directory: Path) -> None:
    """Remove what `drop_near_duplicates` would go on from."""
    shutil.rmtree(directory / WORK, ignore_errors=True)


def _corpus_before(corpus: Path) -> list[Path]:
    if not (files := corpus_files(corpus)):
        raise ChakuError(
            f"near_duplicates.against names {corpus}, which holds no corpus (train-*.parquet); check the path"
        )
    return files


def _units(files: list[tuple[Path, bool]]) -> list[_Unit]:
    units: list[_Unit] = []
    for path, before in files:
        num_groups = pq.read_metadata(path).num_row_groups
        for first in range(0, num_groups, UNIT_GROUPS):
            units.append(_Unit(len(units), path, range(first, min(num_groups, first + UNIT_GROUPS)), before))
    return units


def _write_unit(task: tuple[Path, _Unit]) -> None:
    """In a worker: the n-grams of a unit. A part of a file has none: it goes where its file goes."""
    directory, unit = task
    if has_unit(directory, unit.number):
        return
    sets, tables = [], []
    with pq.ParquetFile(unit.path) as file:
        columns = [name for name in (*_ABOUT, "text", "kind", "language") if name in file.schema_arrow.names]
        for group in unit.groups:
            table = file.read_row_group(group, columns=columns).combine_chunks()
            is_part = _is_part(table).tolist()
            sets += gram_sets(b"" if part else text for part, text in zip(is_part, _texts(table), strict=True))
            tables.append(_about(table, unit.before))
    about = pa.concat_tables(tables)
    names = about["repository"].dictionary_encode().combine_chunks()
    keys = np.array([_key(name) for name in names.dictionary.to_pylist()], np.uint64)
    write_unit(directory, unit.number, joined(sets), about, keys[names.indices.to_numpy()])


def _texts(table: pa.Table) -> Iterator[memoryview]:
    """The texts in UTF-8, as views of the table's memory."""
    for chunk in table["text"].chunks:
        _, offsets, data = chunk.buffers()
        bounds = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1].tolist()
        view = memoryview(data or b"")
        yield from (view[first:last] for first, last in pairwise(bounds))


def _is_part(table: pa.Table) -> np.ndarray:
    """Which rows repeat a file that is a row too, as they should: its pieces, its docstrings, and its commits."""
    repeats_file = pc.is_in(table["kind"], pa.array([PIECE, COMMIT]))
    return pc.or_(repeats_file, pc.equal(table["language"], DOCSTRINGS)).to_numpy()


def _about(table: pa.Table, before: bool) -> pa.Table:
    """The columns that decide which copy is kept, without gaps."""
    columns = {}
    for name in _ABOUT:
        column = table[name] if name in table.column_names else pa.nulls(len(table), ABOUT_COPIES.field(name).type)
        columns[name] = pc.fill_null(column, -1 if name == "stars" else "")
    return pa.table({**columns, "before": pa.array([before] * len(table), pa.bool_())})


def _key(repository: str) -> int:
    if not repository:
        return NO_KEY
    return int.from_bytes(hashlib.blake2b(repository.encode(), digest_size=8).digest(), "little")


def _find(within: Path, num_units: int, config: NearDuplicatesConfig) -> np.ndarray:
    """For every document, 0, or 1 + the number of the reason to drop it, uint8. Writes the list of dropped copies."""
    store = GramStore(within / "files", num_units)
    reasons = np.zeros(len(store), np.uint8)
    with atomic_file(within / DUPLICATES) as path, pq.ParquetWriter(path, LIST, compression="zstd") as listed:
        if config.by != "file":
            of, repositories = _repositories(store, within / "repositories")
            dropped = _drop(repositories, within, config.threshold, np.zeros(len(repositories), bool), listed)
            reasons[np.append(dropped, False)[of]] = 1 + REASONS.index(IN_REPOSITORY)
        if config.by != "repository":
            reasons[_drop(store, within, config.threshold, reasons > 0, listed)] = 1 + REASONS.index(NEAR_DUPLICATE)
    return reasons


def _drop(store: GramStore, within: Path, threshold: float, gone: np.ndarray, listed: pq.ParquetWriter) -> np.ndarray:
    dropped = np.zeros(len(store), bool)
    for table in duplicates(store, find_groups(store, within / "groups.npy", threshold, gone)):
        dropped[table["document"].to_numpy()] = True
        listed.write_table(table.filter(pc.invert(table["before"])).select(LIST.names))
    return dropped


def _repositories(store: GramStore, directory: Path) -> tuple[np.ndarray, GramStore]:
    """(the number of each document's repository, int64, -1 for none; the n-grams of the repositories)."""
    of = np.full(len(store), -1, np.int64)
    num_repositories = 0
    for documents in store.buckets(REPOSITORY, at_least=1):
        of[documents] = num_repositories
        num_repositories += 1
    about = _about_repositories(store, of)
    sets: list[np.ndarray] = []
    first = num_units = size = 0
    for number, documents in enumerate(store.buckets(REPOSITORY, at_least=1), 1):
        sets.append(distinct(np.concatenate([store[document] for document in documents.tolist()])))
        size += len(sets[-1])
        if size >= UNIT_GRAMS or number == num_repositories:
            write_unit(directory, num_units, joined(sets), about[first:number], np.zeros(len(sets), np.uint64))
            sets, first, num_units, size = [], number, num_units + 1, 0
    return of, GramStore(directory, num_units)


def _about_repositories(store: GramStore, of: np.ndarray) -> pa.Table:
    """Of each repository, its best file's stars and date; `path` is the repository's name."""
    best: pa.Table | None = None
    for first, about in store.about():
        about = about.set_column(0, "path", about["repository"]).append_column(
            "group", pa.array(of[first:][: len(about)])
        )
        best = about if best is None else pa.concat_tables([best, about])
        best = best.filter(pc.greater_equal(best["group"], 0))
        order, starts = best_first(best)
        best = best.take(order).take(pa.array(starts))
    assert best is not None
    return best.drop_columns("group")


def _rewrite(task: tuple[Path, Path, np.ndarray]) -> tuple[Counter[Key], Counter[Key]]:
    """In a worker: write a file without the dropped documents and their parts, and a file lineage-near-*, of these.

    Returns the numbers of documents, and of bytes.

    `reasons`: as `_find` returns them, for the documents of the file.
    """
    source, target, reasons = task
    counts: Counter[Key] = Counter()
    sizes: Counter[Key] = Counter()
    split = source.name.partition("-")[0]
    gone: set[tuple[str, str]] = set()
    with (
        pq.ParquetFile(source) as file,
        atomic_file(target) as path,
        pq.ParquetWriter(path, file.schema_arrow, compression="zstd") as out,
        atomic_file(target.with_name(f"lineage-near-{target.name}")) as lineage_path,
        pq.ParquetWriter(lineage_path, DROPPED, compression="zstd") as lineage,
    ):
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            keep = np.ones(len(table), bool)
            why: list[str | None] = [None] * len(table)
            about = table.select(["path", "source", "kind", "language", "bytes"]).to_pylist()
            rows = zip(about, reasons[: len(table)].tolist(), _is_part(table).tolist(), strict=True)
            for place, (row, code, is_part) in enumerate(rows):
                reason = REASONS[code - 1] if code else ""
                if code:
                    gone.add((row["source"], row["path"]))
                elif is_part and (row["source"], row["path"].rpartition("#")[0]) in gone:
                    reason = PART  # a file's parts follow it in the same split and the same shard
                if reason:
                    keep[place], why[place] = False, reason
                    key = (reason, row["kind"], row["language"], split)
                    counts[key] += 1
                    sizes[key] += row["bytes"]
            out.write_table(table.filter(pa.array(keep)))
            lineage.write_table(_dropped(table, why).filter(pa.array(~keep)))
            reasons = reasons[len(table) :]
    return counts, sizes


def _dropped(table: pa.Table, reasons: list[str | None]) -> pa.Table:
    """The rows as lineage-*.parquet has them; a column that they lack is null."""
    values = {name: table[name] for name in table.column_names} | {"reason": pa.array(reasons, pa.string())}
    columns = [values.get(field.name, pa.nulls(len(table), field.type)) for field in DROPPED]
    return pa.table(columns, DROPPED)
