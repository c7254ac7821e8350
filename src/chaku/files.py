"""Files that are either whole or absent: write beside, flush to disk, rename."""

import glob
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.locks import try_lock

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
RECORD = "inputs.json"  # of a directory that a step makes: what it was made from


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same directory; on success it replaces `path`, on failure it is removed.

    What a killed process left of its own try is removed too. Raises ChakuError, naming the path, when the disk is full
    or the directory cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with explain_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
            if not _is_locked(left):
                left.unlink(missing_ok=True)
        with temporary.open("wb") as lock:
            try_lock(lock)  # held by who writes: a file that nobody holds was left behind
            try:
                yield temporary
                put_in_place(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return not try_lock(file)
    except OSError:  # gone meanwhile; or a directory, or not ours to read
        return True


def put_in_place(temporary: Path, path: Path) -> None:
    """Flush a finished file or directory to disk and give it its name; a file that was there before is replaced."""
    for file in temporary.rglob("*") if temporary.is_dir() else [temporary]:
        if file.is_file():
            _flush(file)
    temporary.replace(path)
    _flush(path.parent)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield an empty temporary directory; on success it takes the place of `path`, on failure it is removed.

    A directory already at `path` is replaced: the caller knows whose it is. A kill between the two renames leaves the
    old one as `.NAME.old`; see `restore`.
    """
    temporary = path.with_name(f".{path.name}.partial")
    with explain_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            yield temporary
            _replace_directory(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def resumable_directory(path: Path, made_from: dict[str, Any]) -> Iterator[Path]:
    """Yield a temporary directory to fill; on success it takes the place of `path`, which stands until then.

    On failure, and after a kill, what is in it stays: the next call with the same `made_from` goes on with it, another
    one begins with an empty directory. `made_from` is in it as inputs.json. Raises ChakuError while another process
    fills it.
    """
    temporary = path.with_name(f".{path.name}.partial")
    restore(path)
    with explain_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _only_filler(temporary, path):
            record = temporary / RECORD
            if not record.exists() or read_json(record) != made_from:
                for left in temporary.iterdir():
                    shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
                write_json(record, made_from)
            yield temporary
            _replace_directory(temporary, path)


@contextmanager
def _only_filler(temporary: Path, path: Path) -> Iterator[None]:
    while True:
        temporary.mkdir(exist_ok=True)
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            if not try_lock(descriptor):
                raise ChakuError(f"another chaku is making {path}; wait for it, or name another directory")
            if temporary.exists() and os.fstat(descriptor).st_ino == temporary.stat().st_ino:
                yield
                return
        finally:  # where it was given its name before it was locked: begin again
            os.close(descriptor)


def restore(path: Path) -> None:
    """Put back a directory that a killed process had moved aside but not yet replaced."""
    old = aside(path)
    if old.exists() and not path.exists():
        old.rename(path)


def set_aside(path: Path) -> None:
    """Move a directory to `.NAME.old`, where it is kept until what replaces it is whole; see `drop_aside`.

    What is there already stays in its place: that was whole once, and `path` may not be.
    """
    if path.exists():
        if aside(path).exists():
            remove_directory(path)
        else:
            path.rename(aside(path))


def drop_aside(path: Path) -> None:
    """Remove what `set_aside` kept."""
    shutil.rmtree(aside(path), ignore_errors=True)


def aside(path: Path) -> Path:
    """Where `set_aside` keeps a directory."""
    return path.with_name(f".{path.name}.old")


def _replace_directory(temporary: Path, path: Path) -> None:
    drop_aside(path)
    if path.exists():
        path.rename(aside(path))
    put_in_place(temporary, path)
    drop_aside(path)


def remove_directory(path: Path) -> None:
    """Remove a directory with what is in it. Its name goes first: a kill never leaves a half that looks whole."""
    if path.exists():
        removed = path.with_name(f".{path.name}.removed")
        shutil.rmtree(removed, ignore_errors=True)
        path.rename(removed)
        shutil.rmtree(removed, ignore_errors=True)


def remove_partials(directory: Path) -> None:
    """Remove the files that killed processes left half written, at any depth; who calls holds the directory's lock."""
    for path in directory.rglob(".*.*.partial"):
        if path.is_file() and not _is_locked(path):
            path.unlink(missing_ok=True)


FULL = {
    28: "the disk is full; free some space and start again, finished work is kept",
    122: "the disk quota is used up; free some space and start again, finished work is kept",
}
UNWRITABLE = {
    13: "permission denied; choose a directory that you may write to",
    30: "the file system is read-only; choose a directory that you may write to",
    20: "a part of this path is a file, not a directory",
}


@contextmanager
def explain_disk_errors(path: Path) -> Iterator[None]:
    """Within, what keeps `path` from being written is a ChakuError that says what to do."""
    with _explained(path, FULL | UNWRITABLE):
        yield


@contextmanager
def explain_full_disk(directory: Path) -> Iterator[None]:
    """Within, a full disk is a ChakuError, whoever writes below `directory`."""
    with _explained(directory, FULL):
        yield


@contextmanager
def _explained(path: Path, reasons: dict[int, str]) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        number = _disk_error(error)
        if isinstance(error, ChakuError) or number not in reasons:
            raise
        raise ChakuError(f"cannot write {path}: {reasons[number]}") from error


def _disk_error(error: Exception) -> int:
    """The system's number of an error, also where a library hides it in a text; 0 where there is none."""
    if isinstance(error, OSError):
        return error.errno or 0
    if "disk is full" in str(error):  # SQLite's
        return 28
    said = re.search(r"os error (\d+)", str(error))  # safetensors'
    return int(said[1]) if said else 0


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def refuse_lfs_pointer(path: Path) -> None:
    """Raises ChakuError for what git leaves in place of a large file that was not downloaded."""
    with suppress(OSError), path.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise ChakuError(f"{path} is a Git LFS pointer, not the file itself: run git lfs pull in {path.parent}")


def read_json(path: Path) -> Any:
    """Read JSON; a missing or broken file is a ChakuError that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ChakuError(f"{path} does not exist") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        refuse_lfs_pointer(path)
        raise ChakuError(f"{path} is not valid JSON ({error}); it may be truncated: remove it and run again") from error


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """The SHA-256 of a value's canonical JSON: the same for equal values whatever their key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
