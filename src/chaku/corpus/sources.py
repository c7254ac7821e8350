"""Read documents from directories, git checkouts, JSONL and Parquet files, Hub data sets, or this machine."""

import glob
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from chaku.corpus.commits import history_files, read_commits
from chaku.corpus.docstrings import docstrings
from chaku.corpus.filters import MAX_BYTES
from chaku.corpus.languages import DATA, kind_and_language
from chaku.corpus.licences import licence_near, licence_tag
from chaku.corpus.notebooks import MAX_NOTEBOOK_BYTES, NOT_A_NOTEBOOK, notebook_program
from chaku.corpus.rows import Row, hub_rows, open_packed, read_rows, row_format
from chaku.corpus.text import clean_text, decode_text
from chaku.documents import COMMIT, DOCSTRINGS, PIECE
from chaku.errors import ChakuError
from chaku.settings import setting
from chaku.synthetic.exercises import documents

TASK_SIZE = 64  # files or rows in one task of a worker
OVER_CAP = "over the cap of its kind or language"


@dataclass(frozen=True)
class Source:
    """One source of documents. `kind` "auto" detects the kind by the file's name; else every document has `kind`.

    `include` and `exclude` are glob patterns for paths relative to `path`. `max_bytes` caps the bytes taken from the
    source. `language` and `license` apply to documents that name none themselves. For "hub", `path` is the data set's
    name and `subset` its configuration. For "exercises" (synthetic programs), `path` is the seed, and `max_bytes` is
    required. "commits" takes the commits of a git checkout that change one file, as documents of kind "commit".
    `piece_bytes` adds the top-level parts of every code file, up to so many bytes, as documents of kind
    "piece": only whole documents are infilled, and few files fit the context of a small model.
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


def guess_source(path: Path) -> Source:
    """The source for a path on the command line: a git checkout, a directory, or a file by its extension.

    Raises ChakuError for a path that does not exist or is none of these.
    """
    name = path.name or str(path)
    if path.is_dir():
        return Source(name, "git" if (path / ".git").exists() else "tree", str(path))
    if not path.exists():
        raise ChakuError(f"the source {path} does not exist; check its name")
    if kind := row_format(path):
        return Source(name, kind, str(path))
    raise ChakuError(f"the source {path} is not a directory, .jsonl or .parquet file (plain, .gz or .zst)")


def open_source(source: Source) -> tuple[int, Iterator[Files | list[Raw]]]:
    """The number of files in a source (0 if unknown), and its content in pieces: files to read, or rows already read.

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
        return 0, _pieces(_rows(replace(source, kind="code"), "exercises", texts))
    if source.type == "commits":
        return 0, _pieces(_commits(source))
    if source.type == "hub":
        return 0, _pieces(_rows(source, source.path, hub_rows(source.path, source.subset)))
    files = sorted(_expand(source))
    return 0, (piece for file in files for piece in _pieces(_rows(source, str(file), read_rows(file))))


def source_files(source: Source) -> Iterator[Path]:
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


def read_files(files: Files, full: frozenset[str], hashes: dict[str, str] | None = None) -> Iterator[Raw]:
    """The documents of some files. Files whose kind or language is in `full` are counted as dropped, not read.

    `hashes`, if given, receives the SHA-256 of every file that is read, by its path.
    """
    for path in files.paths:
        yield from _read_file(files.source, Path(files.source.path), path, full, hashes)


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


def _pieces(rows: Iterator[Raw]) -> Iterator[list[Raw]]:
    while piece := list(islice(rows, TASK_SIZE)):
        yield piece


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


def _read_file(
    source: Source, root: Path, relative: str, full: frozenset[str], hashes: dict[str, str] | None
) -> Iterator[Raw]:
    path = str(root / relative)  # a path as text: pathlib takes ten times as long
    shown = as_utf8(relative)

    def dropped(problem: str, language: str = "unknown") -> Raw:
        return Raw(shown, "", "unknown", language, source.name, problem=problem)

    try:
        if os.path.islink(path) and not Path(path).resolve().is_relative_to(root.resolve()):  # noqa: PTH114
            yield dropped("link that leads outside")
            return
        mode = os.stat(path).st_mode  # noqa: PTH116
        if stat.S_ISDIR(mode):
            yield dropped("a directory that cannot be read")
            return
        if not stat.S_ISREG(mode):
            yield dropped("not a plain file")
            return
    except (FileNotFoundError, NotADirectoryError):  # a link to nothing
        yield dropped("not a plain file")
        return
    except (OSError, RuntimeError) as error:  # a link to itself; a name that is too long
        yield dropped("link to itself" if isinstance(error, RuntimeError) else f"unreadable ({type(error).__name__})")
        return
    by_name = kind_and_language(path, "") if source.kind == "auto" else None
    if by_name and not full.isdisjoint(by_name):
        yield dropped(OVER_CAP, by_name[1])
        return
    is_notebook = path.endswith(".ipynb")
    stored, text, problem = _read_text(path, MAX_NOTEBOOK_BYTES if is_notebook else MAX_BYTES)
    if hashes is not None and stored is not None and len(stored) <= MAX_BYTES:
        hashes[as_utf8(path)] = hashlib.sha256(stored).hexdigest()
    if problem is not None:
        yield dropped(problem, by_name[1] if by_name else "unknown")
        return
    found = kind_and_language(path, text)
    if is_notebook:
        program = notebook_program(text)
        if program is None or len(program[0]) > MAX_BYTES:
            yield dropped(NOT_A_NOTEBOOK if program is None else f"over {MAX_BYTES:,} bytes", "Notebook")
            return
        text, found = program[0], ("code", program[1])
    if source.kind == "auto":
        if found is None:
            yield dropped("neither code nor prose by its name")
            return
        kind, language = found
    else:
        kind, language = source.kind, source.language or (found[1] if found else "Text")
    if language == "Manual":
        text = _plain_manual(text)
    licence = source.license or licence_tag(text) or _licence_near(os.path.dirname(path), str(root))
    yield Raw(shown, text, kind, language, source.name, licence, repository=_repository(source, shown))
    if kind == "code" and source.piece_bytes and PIECE not in full and language not in DATA:
        for number, piece in enumerate(split_code(text, source.piece_bytes)):
            yield Raw(f"{shown}#{number:04}", piece, PIECE, language, source.name, licence, origin=text)
    if kind == "code" and language == "Python" and "code_prose" not in full and (prose := docstrings(text)):
        yield Raw(f"{shown}#docstrings", prose, "code_prose", DOCSTRINGS, source.name, licence, origin=text)


@lru_cache(maxsize=1 << 12)
def _licence_near(directory: str, root: str) -> str | None:
    return licence_near(Path(directory), Path(root))


def _read_text(path: str, max_bytes: int) -> tuple[bytes | None, str, str | None]:
    """(the file as it is stored or None, its text, None or why it has no text)."""
    stored = None
    try:
        if os.stat(path).st_size > max_bytes:  # noqa: PTH116
            return None, "", f"over {max_bytes:,} bytes"
        with open(path, "rb") as file:  # noqa: PTH123
            raw = stored = file.read(max_bytes + 1)
        if path.endswith((".gz", ".zst")):
            with open_packed(Path(path)) as packed:
                raw = packed.read(max_bytes + 1)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        return stored, "", f"unreadable ({type(error).__name__})"
    if len(raw) > max_bytes:
        return stored, "", f"over {max_bytes:,} bytes"
    return stored, *decode_text(raw)


def split_code(text: str, max_bytes: int) -> list[str]:
    """Cut a file at blank lines before an unindented line, and join neighbouring parts up to `max_bytes` of UTF-8.

    A part that does not fit is left out. A file that fits whole gives no pieces, because it is a document already.
    """
    if len(text.encode()) <= max_bytes:
        return []
    ends = [match.end() for match in re.finditer(r"\n(?:[ \t]*\n)+(?=[^\s)\]}])", text)]
    pieces, piece = [], ""
    for start, end in zip([0, *ends], [*ends, len(text)], strict=True):
        if len((piece + text[start:end]).encode()) > max_bytes:
            pieces.append(piece)
            piece = ""
        if len(text[start:end].encode()) <= max_bytes:
            piece += text[start:end]
    return [f"{part.rstrip()}\n" for part in [*pieces, piece] if part.strip()]


def _plain_manual(text: str) -> str:
    """The plain text of a manual page, without troff requests and font changes."""
    text = re.sub(r'^[.\']\\".*\n', "", text, flags=re.M)
    text = re.sub(r"^\.(SH|SS|TH|Sh|Ss) ?\"?(.*?)\"?$", r"\n\2", text, flags=re.M)
    text = re.sub(r"^\.(B|I|BR|RB|BI|IR|IP|Nm|Ar|Fl) ", "", text, flags=re.M)
    text = re.sub(r"^[.'].*\n?", "", text, flags=re.M)
    text = re.sub(r"\\f(\[\w*\]|\(?\w{1,2}?(?=\W|\w))", "", text)
    return re.sub(r"\\([-e&|^ ])", lambda match: {"-": "-", "e": "\\", " ": " "}.get(match[1], ""), text).strip() + "\n"


def _repository(source: Source, path: str) -> str | None:
    """A checkout is a repository; in a tree, every directory at the top is."""
    if source.type == "git":
        return source.name
    return f"{source.name}/{path.partition('/')[0]}" if "/" in path else None


# The keys of The Stack, The Stack v2 and other data sets.
REPOSITORY = ("repository", "repo_name", "max_stars_repo_name", "repo")
STARS = ("stars", "star_events_count", "max_stars_count", "stargazers_count")
DATE = ("date", "committer_date", "revision_date", "max_stars_repo_stars_event_max_datetime")
ABOUT = frozenset((*REPOSITORY, *STARS, *DATE))


def _about_copy(row: dict[str, Any]) -> dict[str, Any]:
    repository, stars, date = (
        next((row[key] for key in keys if row.get(key)), None) for keys in (REPOSITORY, STARS, DATE)
    )
    return {
        "repository": as_utf8(repository) if isinstance(repository, str) else None,
        "stars": min(int(stars), 2**62) if isinstance(stars, int | float) and stars >= 0 else None,
        "date": None if date is None else as_utf8(str(date)),
    }


def _expand(source: Source) -> list[Path]:
    path = Path(source.path)
    if path.is_dir():
        found = (path / file for file in _walk(path))
        files = [file for file in found if row_format(file) == source.type and file.is_file()]
    else:
        files = [Path(file) for file in glob.glob(source.path, recursive=True)]  # noqa: PTH207 (absolute patterns)
    if not files:
        raise ChakuError(f"source {source.name!r}: {source.path} matches no file; check the path or pattern")
    return files


def _rows(source: Source, origin: str, rows: Iterator[Row]) -> Iterator[Raw]:
    for number, read in enumerate(rows):
        row = read.value if isinstance(read.value, dict) else {}
        path = as_utf8(str(row.get("path") or row.get("max_stars_repo_path") or f"{Path(origin).name}#{number}"))
        field = source.text_field or next((name for name in ("text", "content", "code") if name in row), "text")
        text = row.get(field)
        problem: str | None = read.problem or ("" if isinstance(read.value, dict) else "no object")
        if not isinstance(text, str):
            problem = problem or f"no {field!r} text"
        else:
            try:
                if len(text.encode()) > MAX_BYTES:
                    problem = f"over {MAX_BYTES:,} bytes"
                else:
                    text, problem = clean_text(text)
            except UnicodeEncodeError:
                problem = "not UTF-8"
        if problem or not isinstance(text, str):
            yield Raw(path, "", "unknown", "unknown", source.name, problem=problem)
            continue
        found = kind_and_language(path, text)
        kind = source.kind if source.kind != "auto" else found[0] if found else "prose"
        language = row.get("language") or row.get("lang") or source.language or (found[1] if found else "Text")
        licence = row.get("license") or source.license
        licence = as_utf8(licence) if isinstance(licence, str) else None
        raw = Raw(path, text, kind, as_utf8(str(language)), source.name, licence)
        yield replace(raw, **_about_copy(row)) if ABOUT & row.keys() else raw


def as_utf8(name: str) -> str:
    """A name that UTF-8 can encode: every lone surrogate becomes a question mark."""
    return name.encode("utf-8", "replace").decode()
