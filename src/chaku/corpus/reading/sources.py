"""The sources of documents: directories, git checkouts, JSONL and Parquet files, Hub data sets, or this machine."""

import glob
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import Literal

from chaku.corpus.reading.commits import history_files, read_commits
from chaku.corpus.reading.languages import kind_and_language
from chaku.corpus.reading.remote_files import find_remote, is_url, refuse_credentials
from chaku.corpus.reading.rows import AnyFile, Row, RowPack, hub_rows, pack_rows, read_packs, row_format
from chaku.documents import COMMIT
from chaku.errors import ChakuError
from chaku.settings import setting
from chaku.synthetic.exercises import documents

TASK_SIZE = 64  # files in one task of a worker
OVER_CAP = "over the cap of its kind or language"


@dataclass(frozen=True)
class Source:
    """One source of documents. `kind` "auto" detects the kind by the file's name; else every document has `kind`.

    `include` and `exclude` are glob patterns for the files' paths relative to `path`. `max_bytes` caps the bytes taken
    from the source. `language` and `license` apply to documents that name none themselves. For "jsonl" and "parquet",
    `path` may be a URL that fsspec opens (s3://...). For "hub", it is the data set's name, and `subset` its
    configuration. For "exercises" (synthetic programs), it is the seed, and `max_bytes` is required. "commits" takes
    the commits of a git checkout that change one file, as documents of kind "commit". `piece_bytes` adds the top-level
    parts of every code file, up to so many bytes, as documents of kind "piece": only whole documents are infilled, and
    few files fit the context of a small model.
    """

    name: str
    type: Literal["tree", "git", "commits", "jsonl", "parquet", "hub", "machine", "exercises"]
    path: str = ""
    kind: Literal["auto", "code", "code_prose", "prose"] = "auto"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    text_field: str | None = None
    language: str | None = None
    license: str | None = None
    subset: str | None = None
    max_bytes: int | None = setting(None, at_least=1)
    piece_bytes: int | None = setting(None, at_least=1)

    def __post_init__(self) -> None:
        if is_url(self.path):
            refuse_credentials(self.path)


@dataclass(frozen=True, slots=True)
class Raw:
    """One file or row: its text, or the `problem` for which it is dropped.

    `origin`, for a part of another document, is the text of that document: both go into the same split. `repository`,
    its `stars` and its `date` decide which one of near-duplicates is kept.
    `detail`: what was found that made the document drop, for the samples in summary.json. `replaced`: the kinds of
    secrets and personal data that were replaced in the text, and in how many places.
    """

    path: str
    text: str
    kind: str
    language: str
    source: str
    license: str | None = None
    problem: str | None = None
    origin: str | None = None
    repository: str | None = None
    stars: int | None = None
    date: str | None = None
    detail: str = ""
    replaced: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Files:
    """Files of one source that a worker will read."""

    source: Source
    paths: list[str]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one source that a worker will decode. `origin`: the file or data set, for names of documents."""

    source: Source
    origin: str
    pack: RowPack


def guess_source(place: Path | str) -> Source:
    """The source for a path on the command line: a git checkout, a directory, or files of rows by their extension.

    Raises ChakuError for a path that does not exist or is none of these.
    """
    path = Path(place)
    name = path.name or str(path)
    if is_url(str(place)):
        name = next(part for part in reversed(path.parts) if "*" not in part)
        formats = {row_format(file) for file in find_remote(str(place), lambda file: row_format(file) is not None)}
        if len(formats) == 1 and (kind := formats.pop()):
            return Source(name, kind, str(place))
        raise ChakuError(f"{place} has no .jsonl or .parquet files, or both kinds; name a URL with one of them")
    if path.is_dir():
        return Source(name, "git" if (path / ".git").exists() else "tree", str(path))
    if not path.exists():
        raise ChakuError(f"the source {path} does not exist; check its name")
    if kind := row_format(path):
        return Source(name, kind, str(path))
    raise ChakuError(f"the source {path} is not a directory, .jsonl or .parquet file (plain, .gz or .zst)")


def open_source(source: Source) -> tuple[int, Iterator[Files | Rows | list[Raw]]]:
    """The number of files in a source (0 if unknown), and its content in pieces: files to read, or rows to decode.

    Files are ordered by the hashes of their paths, so that a cap takes a fair sample. Raises ChakuError when the source
    does not exist.
    """
    if source.type in ("machine", "tree", "git"):
        parts = [source]
        if source.type == "machine":
            parts = [replace(place, piece_bytes=source.piece_bytes) for place in machine_sources()]
        listed = sorted(
            (hashlib.sha256(os.fsencode(path)).digest(), part, path)
            for part, place in enumerate(parts)
            for path in _list_files(place)
        )
        return len(listed), (
            Files(place, paths)
            for start in range(0, len(listed), TASK_SIZE)
            for part, place in enumerate(parts)
            if (paths := [path for _, of, path in listed[start : start + TASK_SIZE] if of == part])
        )
    if source.type == "exercises":
        if source.max_bytes is None or not source.path.isdecimal():
            raise ChakuError(f"source {source.name!r}: exercises need max_bytes, and a number as path (the seed)")
        made = documents(int(source.path), source.max_bytes)
        texts = (
            Row("", {"text": text, "path": f"{number}", "language": "Exercise"}) for number, text in enumerate(made)
        )
        return 0, _pieces(replace(source, kind="code"), "exercises", pack_rows("exercises", texts))
    if source.type == "commits":
        return 0, _read_pieces(_commits(source))
    if source.type == "hub":
        return 0, _pieces(source, source.path, pack_rows(source.path, hub_rows(source.path, source.subset)))
    files = sorted(_expand(source))
    return 0, (piece for file in files for piece in _pieces(source, str(file), read_packs(file)))


def source_files(source: Source) -> Iterator[AnyFile]:
    """The files of a source, in no particular order; empty for a source that is not made of files.

    Raises ChakuError when the source does not exist.
    """
    if source.type == "machine":
        for place in machine_sources():
            yield from source_files(place)
    elif source.type in ("tree", "git"):
        yield from (Path(source.path) / path for path in _list_files(source))
    elif source.type == "commits":
        yield from history_files(Path(source.path))
    elif source.type in ("jsonl", "parquet"):
        yield from _expand(source)


def _commits(source: Source) -> Iterator[Raw]:
    root = Path(source.path)
    if not root.is_dir():
        raise ChakuError(f"source {source.name!r}: the directory {root} does not exist")
    for commit in read_commits(root):
        path = as_utf8(commit.path)
        file = path.rpartition("@")[0]
        named = kind_and_language(file, "")
        if not _is_chosen(source, file) or (not commit.problem and named is None):
            continue
        language = source.language or (named[1] if named else "Text")
        if commit.problem:
            yield Raw(path, "", "unknown", language, source.name, problem=commit.problem)
        else:
            yield Raw(path, commit.text, COMMIT, language, source.name, source.license, repository=source.name)


def _read_pieces(rows: Iterator[Raw]) -> Iterator[list[Raw]]:
    while piece := list(islice(rows, TASK_SIZE)):
        yield piece


def _pieces(source: Source, origin: str, packs: Iterator[RowPack]) -> Iterator[Rows]:
    return (Rows(source, origin, pack) for pack in packs)


def machine_sources() -> list[Source]:
    """The usual places on a development machine: Python, headers, JavaScript, Perl, shell; documentation; licences."""
    library = Path(sysconfig.get_path("stdlib"))
    packages = Path(sysconfig.get_path("purelib"))
    places = [
        Source(
            "python-library", "tree", str(library), include=("*.py", "*.rst", "*.md"), exclude=("*site-packages/*",)
        ),
        Source("python-packages", "tree", str(packages), include=("*.py", "*.md", "*.rst", "*LICENSE*", "*README*")),
        Source("headers", "tree", "/usr/include", include=("*.h", "*.hpp")),
        Source("perl", "tree", "/usr/share/perl", include=("*.pm", "*.pl", "*.pod")),
        Source("node", "tree", "/usr/lib/node_modules", include=("*.js", "*.mjs", "*.md")),
        Source("node-local", "tree", "/usr/local/lib/node_modules", include=("*.js", "*.mjs", "*.md")),
        Source("share-node", "tree", "/usr/share/nodejs", include=("*.js", "*.mjs", "*.md")),
        Source("shell", "tree", "/usr/bin", include=("*",)),
        Source("init", "tree", "/etc/init.d", include=("*",)),
        Source("git-core", "tree", "/usr/lib/git-core", include=("*",)),
        Source("manuals", "tree", "/usr/share/man", include=("man*/*",)),
        Source("documentation", "tree", "/usr/share/doc", include=("*",), exclude=("*.html", "*.htm", "*.js", "*.svg")),
        Source("licences", "tree", "/usr/share/common-licenses", include=("*",), kind="prose", language="Text"),
    ]
    if sys.prefix != sys.base_prefix:  # a virtual environment: the base interpreter has packages too
        base = Path(sys.base_prefix) / packages.relative_to(sys.prefix)
        places.append(Source("base-packages", "tree", str(base), include=("*.py", "*.md", "*.rst")))
    return [place for place in places if Path(place.path).is_dir()]


def _list_files(source: Source) -> list[str]:
    if is_url(source.path):
        raise ChakuError(
            f"source {source.name!r}: {source.path} is a URL; only rows are read from there (type jsonl or parquet): "
            "copy the files to a directory"
        )
    root = Path(source.path)
    if not root.is_dir():
        raise ChakuError(f"source {source.name!r}: the directory {root} does not exist")
    if source.type == "git" and shutil.which("git"):
        listed = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", "-C", str(root), "ls-files", "-z"], capture_output=True, check=False
        )
        if listed.returncode:
            raise ChakuError(f"source {source.name!r}: {root} is not a git checkout: {listed.stderr.decode().strip()}")
        paths = [os.fsdecode(part) for part in listed.stdout.split(b"\0") if part]
    else:
        paths = list(_walk(root))
    return [path for path in paths if _is_chosen(source, path)]


def _is_chosen(source: Source, path: str) -> bool:
    """Whether the patterns of a source choose a path."""
    included = not source.include or any(fnmatch(path, pattern) for pattern in source.include)
    return included and not any(fnmatch(path, pattern) for pattern in source.exclude)


def _walk(root: Path) -> Iterator[str]:
    """The paths of all files below a directory, relative to it, and of directories that cannot be read."""
    waiting = [""]
    while waiting:
        within = waiting.pop()
        try:
            with os.scandir(root / within) as entries:
                for entry in entries:
                    path = f"{within}/{entry.name}" if within else entry.name
                    if not entry.is_dir(follow_symlinks=False):
                        yield path
                    elif entry.name not in (".git", "__pycache__"):
                        waiting.append(path)
        except OSError:
            if not within:
                raise
            yield within


def _expand(source: Source) -> list[AnyFile]:
    path = Path(source.path)
    files: list[AnyFile]
    if is_url(source.path):
        found = find_remote(source.path, lambda file: row_format(file) == source.type)
        files = [file for file in found if _is_chosen(source, file.within)]
    elif path.is_dir():
        below = (path / file for file in _walk(path) if _is_chosen(source, file))
        files = [file for file in below if row_format(file) == source.type and file.is_file()]
    else:
        named = map(Path, glob.glob(source.path, recursive=True))  # noqa: PTH207 (absolute patterns)
        files = [file for file in named if _is_chosen(source, file.name)]
    if not files:
        raise ChakuError(
            f"source {source.name!r}: {source.path} matches no file; check the path or pattern, include and exclude"
        )
    return files


def as_utf8(name: str) -> str:
    """A name that UTF-8 can encode: every lone surrogate becomes a question mark."""
    return name.encode("utf-8", "replace").decode()
