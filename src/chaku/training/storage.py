"""Where states are stored: whether all ranks write to one place, and what reads and writes it for DCP."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs

from chaku.errors import ChakuError
from chaku.files import explain_disk_errors
from chaku.launcher import num_ranks
from chaku.training.heartbeats import is_lost_contact
from chaku.training.ranks import Ranks


def storage_problem(place: str) -> str:
    """Why states cannot be saved in a directory or under a URL, in words; "" when nothing is known to prevent it.

    This writes nothing, and asks no server.
    """
    try:
        files, root = url_to_fs(place)
    except (ImportError, ValueError) as error:  # no driver, or no such kind of URL
        return f"{error}; or name a directory in training.state"
    if "memory" in files.protocol and num_ranks() > 1:
        return "every rank has its own memory: name a directory that all ranks share, or a bucket, in training.state"
    if not is_local(files):
        return ""
    nearest = next(path for path in (Path(root), *Path(root).parents) if path.exists())
    if not nearest.is_dir():
        return f"{nearest} is a file: name a directory in training.state"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"{nearest} cannot be written: name another directory in training.state"
    return ""


def check_storage(place: str | Path, ranks: Ranks) -> None:
    """Every rank writes a small file, and the others read it. All ranks must call this together.

    Raises ChakuError, on all ranks, when one of them cannot write there, or does not see what another rank writes.
    """
    files, root = url_to_fs(str(place))
    word = ranks.from_first(os.urandom(8).hex())
    own = f"{root}/.written-by-rank-{ranks.rank}"

    def write() -> None:
        files.makedirs(root, exist_ok=True)
        files.pipe_file(own, word.encode())

    def read() -> None:
        files.invalidate_cache()
        for rank in () if ranks.size == 1 else range(ranks.size) if ranks.is_first else (0,):
            path = f"{root}/.written-by-rank-{rank}"
            if not files.exists(path) or files.cat_file(path).decode() != word:
                raise ChakuError(
                    f"what rank {rank} writes to {place} is not there: name storage that all machines share, with "
                    "--out for the run or training.state for the states"
                )

    try:
        for act in (write, read):
            problem = ""
            try:
                with explained(place, files):
                    act()
            except (ChakuError, OSError) as error:
                problem = str(error) if ranks.size == 1 else f"rank {ranks.rank} ({socket.gethostname()}): {error}"
            if problem := next((text for text in ranks.all_objects(problem) if text), ""):
                raise ChakuError(problem)
    finally:
        with suppress(Exception):
            files.rm_file(own)


@contextmanager
def explained(place: str | Path, files: Any) -> Iterator[None]:
    """Raise ChakuError for what prevents writing a place; `files`: its file system.

    The libraries of object stores have exceptions of their own.
    """
    with explain_disk_errors(Path(str(place))):
        try:
            yield
        except Exception as error:
            if is_local(files) or isinstance(error, ChakuError) or is_lost_contact(error):
                raise
            what = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ChakuError(f"cannot write {place}: {what}") from error


def is_local(files: Any) -> bool:
    """Whether a file system of fsspec is this machine's own, with its mounts."""
    return "file" in files.protocol or "local" in files.protocol


def writer(files: Any, where: str) -> Any:
    """What writes a directory of DCP."""
    if is_local(files):
        from torch.distributed.checkpoint.filesystem import FileSystemWriter

        return FileSystemWriter(where, overwrite=True)
    from torch.distributed.checkpoint._fsspec_filesystem import FsspecWriter

    return FsspecWriter(files.unstrip_protocol(where), overwrite=True)


def reader(files: Any, where: str) -> Any:
    """What reads a directory of DCP."""
    if is_local(files):
        from torch.distributed.checkpoint.filesystem import FileSystemReader

        return FileSystemReader(where)
    from torch.distributed.checkpoint._fsspec_filesystem import FsspecReader

    return FsspecReader(files.unstrip_protocol(where))


@contextmanager
def error_of_one_rank() -> Iterator[None]:
    """Raises the error of the first rank that failed in place of DCP's collection, which is no Exception."""
    try:
        yield
    except BaseException as error:
        failures = getattr(error, "failures", None)
        if not failures:
            raise
        raise next(iter(failures.values()))[0] from None
