"""Atomic files and directories: write a temporary one beside the path, flush it to disk, rename it."""

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
RECORD = "inputs.json"  # in a resumable directory: the inputs that the directory is made from


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same directory; on success it replaces `path`, on failure it is removed.

    Temporary files of `path` that killed processes left behind are removed too. Raises ChakuError, naming the path,
    when the disk is full or the directory cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with explain_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
            if not _is_locked(left):
                left.unlink(missing_ok=True)
        with temporary.open("wb") as lock:
            try_lock(lock)  # the writer holds the lock, so an unlocked temporary file was left behind
            try:
                yield temporary
                put_in_place(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return not try_lock(file)
    except OSError:  # removed meanwhile, a directory, or unreadable
        return True


def put_in_place(temporary: Path, path: Path) -> None:
    """Flush a finished file or directory to disk and rename it to `path`; a file already at `path` is replaced."""
    for file in temporary.rglob("*") if temporary.is_dir() else [temporary]:
        if file.is_file():
            _flush(file)
    temporary.replace(path)
    _flush(path.parent)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield an empty temporary directory; on success it replaces `path`, on failure it is removed.

    A directory already at `path` is replaced; the caller checks that chaku may replace it. A kill between the two
    renames leaves the old directory as `.NAME.old`; see `restore`. Raises ChakuError when the disk is full or the
    directory cannot be written.
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
    """Yield a temporary directory to fill; on success it replaces `path`, which stays as it is until then.

    After a failure or a kill the temporary directory keeps its files: the next call with the same `made_from` goes on
    with them; a call with another `made_from` begins with an empty directory. `made_from` is stored there as
    inputs.json. Raises ChakuError while another process fills the directory.
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
                raise ChakuError(f"another chaku process writes {path}; wait until it ends, or name another directory")
            if temporary.exists() and os.fstat(descriptor).st_ino == temporary.stat().st_ino:
                yield
                return
        finally:  # another process renamed the directory before it was locked: begin again
            os.close(descriptor)


def restore(path: Path) -> None:
    """Move back a directory that a killed process had moved aside but not yet replaced."""
    old = aside(path)
    if old.exists() and not path.exists():
        old.rename(path)


def set_aside(path: Path) -> None:
    """Move a directory to `.NAME.old`, to keep it until its replacement is whole; see `drop_aside`.

    If `.NAME.old` exists, it stays and `path` is removed: the old directory was whole, and `path` may not be.
    """
    if path.exists():
        if aside(path).exists():
            remove_directory(path)
        else:
            path.rename(aside(path))


def drop_aside(path: Path) -> None:
    """Remove the directory that `set_aside` kept."""
    shutil.rmtree(aside(path), ignore_errors=True)


def aside(path: Path) -> Path:
    """The path where `set_aside` keeps a directory."""
    return path.with_name(f".{path.name}.old")


def _replace_directory(temporary: Path, path: Path) -> None:
    drop_aside(path)
    if path.exists():
        path.rename(aside(path))
    put_in_place(temporary, path)
    drop_aside(path)


def remove_directory(path: Path) -> None:
    """Remove a directory and its files. It is renamed first, so that a kill never leaves half of it under its name."""
    if path.exists():
        removed = path.with_name(f".{path.name}.removed")
        shutil.rmtree(removed, ignore_errors=True)
        path.rename(removed)
        shutil.rmtree(removed, ignore_errors=True)


def remove_partials(directory: Path) -> None:
    """Remove the half-written files of killed processes, at any depth. The caller holds the directory's lock."""
    for path in directory.rglob(".*.*.partial"):
        if path.is_file() and not _is_locked(path):
            path.unlink(missing_ok=True)


FULL = {
    28: "the disk is full; free some space and start again (finished work is kept)",
    122: "the disk quota is used up; free some space and start again (finished work is kept)",
}
UNWRITABLE = {
    13: "permission denied; choose a directory that you may write to",
    30: "the file system is read-only; choose a directory that you may write to",
    20: "a part of this path is a file, not a directory",
}


@contextmanager
def explain_disk_errors(path: Path) -> Iterator[None]:
    """Raise ChakuError, with advice, for a system error inside the block that prevents writing `path`."""
    with _explained(path, FULL | UNWRITABLE):
        yield


@contextmanager
def explain_full_disk(directory: Path) -> Iterator[None]:
    """Raise ChakuError when the disk is full inside the block, whichever library writes below `directory`."""
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
    """An error's errno, even if a library gives it only in the message; 0 when there is none."""
    if isinstance(error, OSError):
        return error.errno or 0
    if "disk is full" in str(error):  # SQLite's message
        return 28
    found = re.search(r"os error (\d+)", str(error))  # safetensors' message
    return int(found[1]) if found else 0


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_text(path: Path, newline: str | None = None) -> str:
    """A file's text; `newline` as for `open`. Raises ChakuError, naming the file, when it cannot be read as UTF-8."""
    try:
        with path.open(encoding="utf-8", newline=newline) as file:
            return file.read()
    except OSError as error:
        raise ChakuError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise ChakuError(f"cannot read {path}: it is not UTF-8 text (byte {error.start + 1})") from error


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def refuse_lfs_pointer(path: Path) -> None:
    """Raises ChakuError for a Git LFS pointer, which stands in place of a large file that was not downloaded."""
    with suppress(OSError), path.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise ChakuError(f"{path} is a Git LFS pointer, not the file itself: run git lfs pull in {path.parent}")


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises ChakuError, naming the file, when it is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ChakuError(f"{path} does not exist") from None
    except (ValueError, RecursionError) as error:  # RecursionError: brackets in brackets, a thousand deep
        refuse_lfs_pointer(path)
        raise ChakuError(f"{path} is not valid JSON ({error}); it may be truncated: remove it and run again") from error


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """The SHA-256 of a value's JSON with sorted keys: equal values have equal hashes."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
