"""Measures the steps of a corpus on a sample of its files: processor seconds, memory and disk."""

import hashlib
import json
import pickle
import shutil
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from chaku.cluster import using
from chaku.corpus.build import fill_corpus
from chaku.corpus.cleaning.cleaner import Cleaning
from chaku.corpus.compiled import WORTH_LOADING, count_read
from chaku.corpus.near_duplicates.config import NearDuplicatesConfig
from chaku.corpus.near_duplicates.drop import WORK, drop_near_duplicates, forget_work
from chaku.corpus.reading.file_list import list_files
from chaku.corpus.reading.remote_files import RemoteFile
from chaku.corpus.reading.row_documents import read_raw_rows
from chaku.corpus.reading.rows import AnyFile
from chaku.corpus.reading.sources import Files, Raw, Rows, Source, open_source, source_files
from chaku.corpus.worker_tasks import Piece
from chaku.documents import count_documents, read_documents
from chaku.tokens.packing import plan_packing
from chaku.tokens.store import TokenStore, encode_corpus
from chaku.tokens.tokenizer_training import train_tokenizer

SAMPLE_BYTES = 8_000_000  # of source files that are measured: a minute of one core
SMALLEST_SAMPLE = 300_000
VOCAB_SIZE = 2048  # of the tokenizer that is trained on the sample
SEQUENCE_LENGTH = 4096  # Code Llama's


@dataclass(frozen=True)
class Rates:
    """What a sample took. `bytes`, `files`: of its source files. `documents`, `tokens`: that came of them.

    `alone`, `shared`: seconds of one processor by step, in the one process that leads it and in tasks for workers.
    Bytes of memory that grow with the corpus: `list_memory`, for a file; `build_memory`, for a file, of its list, its
    order and its hashes; `store_memory`, for a document of an open store. `corpus_disk`, `work_disk`, `tokens_disk`:
    bytes that the steps left.
    """

    bytes: int
    files: int
    documents: int
    tokens: int
    alone: dict[str, float]
    shared: dict[str, float]
    list_memory: float
    build_memory: float
    store_memory: float
    corpus_disk: int
    work_disk: int
    tokens_disk: int


class _Timed:
    """Does the work of a cluster in this process, and measures it. `seconds`: of one processor, in tasks so far."""

    num_workers = 1

    def __init__(self) -> None:
        self.seconds = 0.0

    def map(self, function: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
        for call in zip(*arguments, strict=False):
            yield self.call(function, *call)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        started = time.process_time()
        sent = pickle.dumps(function(*arguments))
        self.seconds += time.process_time() - started
        return pickle.loads(sent)  # the leading process's work

    def check_shared(self, paths: Sequence[Path]) -> None:
        pass


def measure_rates(sources: list[Source], directory: Path, cleaning: Cleaning) -> Rates:
    """Take a sample of the sources through every step of a corpus, in `directory`, which is empty."""
    alone: dict[str, float] = {}
    shared: dict[str, float] = {}

    @contextmanager
    def step(name: str) -> Iterator[_Timed]:
        workers, started = _Timed(), time.process_time()
        with using(workers):
            yield workers
        shared[name] = workers.seconds
        alone[name] = time.process_time() - started - workers.seconds

    count_read(WORTH_LOADING)  # a large corpus is cleaned by compiled functions
    sample = copy_sample(sources, directory / "sample")
    with step("list"):
        files = list_files(sample)
    for name in ("warm", "corpus"):  # the first time imports, compiles, and reads the benchmarks
        corpus = directory / name
        corpus.mkdir()
        with step("build"):
            fill_corpus(sample, corpus, heldout_fraction=0, cleaning=cleaning)
    corpus_disk = _size(corpus)
    with step("near-duplicates") as workers:
        drop_near_duplicates(corpus, NearDuplicatesConfig(), workers.map)
    work_disk = _size(corpus / WORK)
    forget_work(corpus)
    tokenizer = train_tokenizer((document.text for document in read_documents(corpus, "train")), VOCAB_SIZE)
    with step("encode") as workers:
        store = encode_corpus(corpus, tokenizer, directory / "tokens", work=workers.map)
    with step("pack"):
        plan_packing(store.select(), store.lengths, SEQUENCE_LENGTH, directory / "plan")
    documents = count_documents(corpus, "train")
    return Rates(
        bytes=sum(file.size for file in files.values()),
        files=len(files),
        documents=documents,
        tokens=int(store.lengths.sum()),
        alone=alone,
        shared=shared,
        list_memory=_memory(lambda: list_files(sample)) / len(files),
        build_memory=_memory(lambda: _held_by_a_build(sample)) / len(files),
        store_memory=_memory(lambda: (TokenStore.open(directory / "tokens"), store.select())) / max(1, documents),
        corpus_disk=corpus_disk,
        work_disk=work_disk,
        tokens_disk=_size(directory / "tokens"),
    )


def copy_sample(sources: list[Source], directory: Path) -> list[Source]:
    """Copy about SAMPLE_BYTES of files or rows, from each source its share; returns the sources of the copies."""
    sizes = {source.name: sum(_file_size(path) for path in source_files(source)) for source in sources}
    found = []
    for source in sources:
        left = SAMPLE_BYTES * sizes[source.name] / max(1, sum(sizes.values()))
        target = directory / source.name
        rows = []
        for piece in open_source(source)[1]:
            for item in _items(piece):
                if left <= 0:
                    break
                if isinstance(item, str):
                    left -= _copy(Path(source.path) / item, target / item)
                else:
                    rows.append(item)
                    left -= len(item.text.encode())
            if left <= 0:
                break
        if rows:
            target.mkdir(parents=True)
            lines = (json.dumps({"text": row.text, "path": row.path, "language": row.language}) for row in rows)
            (target / "rows.jsonl").write_text("\n".join(lines))
            found.append(replace(source, type="jsonl", path=str(target / "rows.jsonl"), text_field=None))
        elif target.exists():
            found.append(replace(source, type="tree", path=str(target)))
    return found


def _items(piece: Piece) -> Iterable[str | Raw]:
    if isinstance(piece, Files):
        return piece.paths
    return read_raw_rows(piece) if isinstance(piece, Rows) else piece


def _copy(path: Path, target: Path) -> int:
    if path.is_symlink() or not path.is_file():
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(path, target)
    except OSError:  # unreadable
        return 0
    return target.stat().st_size


def _file_size(path: AnyFile) -> int:
    if isinstance(path, RemoteFile):
        return path.size
    try:
        return path.stat().st_size
    except OSError:  # a dangling link
        return 0


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _held_by_a_build(sources: list[Source]) -> tuple[Any, ...]:
    """What the leading process of a build holds of the files of its sources until it ends."""
    files = list_files(sources)
    hashes = {path.encode().decode(): hashlib.sha256(path.encode()).hexdigest() for path in files}
    return files, hashes, [open_source(source) for source in sources]


def _memory(make: Callable[[], Any]) -> int:
    """The bytes that Python and Arrow hold for a value."""
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        value = make()
        held = tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes() - before
        return held if value is not None else 0
    finally:
        tracemalloc.stop()
