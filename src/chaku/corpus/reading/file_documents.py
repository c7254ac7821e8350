"""The documents of files: decoded, named by language and licence, with the pieces and docstrings that a file has."""

import hashlib
import os
import re
import stat
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from chaku.corpus.cleaning.filters import MAX_BYTES
from chaku.corpus.cleaning.licences import licence_near, licence_tag
from chaku.corpus.reading.docstrings import docstrings
from chaku.corpus.reading.languages import DATA, kind_and_language
from chaku.corpus.reading.notebooks import MAX_NOTEBOOK_BYTES, NOT_A_NOTEBOOK, notebook_program
from chaku.corpus.reading.rows import open_packed
from chaku.corpus.reading.sources import OVER_CAP, Files, Raw, Source, as_utf8
from chaku.corpus.reading.text import decode_text
from chaku.documents import DOCSTRINGS, PIECE


def read_files(files: Files, full: frozenset[str], hashes: dict[str, str] | None = None) -> Iterator[Raw]:
    """The documents of some files. Files whose kind or language is in `full` are counted as dropped, not read.

    `hashes`, if given, receives the SHA-256 of every file that is read, by its path.
    """
    root = Path(files.source.path)
    prefix = str(root / "x")[:-1]  # paths as text: pathlib takes ten times as long
    for path in files.paths:
        yield from _read_file(files.source, root, prefix, path, full, hashes)


def _read_file(
    source: Source, root: Path, prefix: str, relative: str, full: frozenset[str], hashes: dict[str, str] | None
) -> Iterator[Raw]:
    path = prefix + relative
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
    licence = source.license or licence_tag(text) or _licence_near(path.rpartition("/")[0], str(root))
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
