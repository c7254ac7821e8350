"""Download models from the Hugging Face Hub with huggingface_hub, which resumes downloads that were cut off."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from chaku.checkpoint.catalogue import HubRepository
from chaku.checkpoint.watching import size_of, watch
from chaku.console import progress, say
from chaku.errors import ChakuError
from chaku.files import read_json, sha256_file, write_json

REVISION_FILE = "revision.json"  # the repository and the commit of a model directory from the catalogue
TIMEOUT_SECONDS = 10.0  # of the request for the list of files, before a download
# The files that chaku uses; a repository may hold the weights in other formats too.
_FILES = ("*.json", "model*.safetensors", "tokenizer.model", "*.jinja", "LICENSE*", "README.md")


def snapshot(repository: str) -> Path:
    """The directory of a repository's newest commit in the Hub's cache, downloaded if it is not there.

    Without a network, a copy in the cache is used. Raises ChakuError for a repository that cannot be downloaded, and,
    before its weights are downloaded, for an unknown architecture.
    """
    hub = _huggingface_hub(repository)
    try:
        with _errors_in_a_line(repository):
            about = hub.HfApi().model_info(repository, timeout=TIMEOUT_SECONDS)
    except ChakuError as error:
        try:
            path = Path(hub.snapshot_download(repository, local_files_only=True, allow_patterns=list(_FILES)))
        except (OSError, ValueError):
            raise error from None
        say(f"{error}; using the copy in the Hub's cache")
        return path
    names = _wanted([file.rfilename for file in about.siblings or ()])
    with _errors_in_a_line(repository):
        if "config.json" in names:
            _refuse_unknown(Path(hub.snapshot_download(repository, allow_patterns=["config.json"])))
        return Path(hub.snapshot_download(repository, allow_patterns=names))


def fetch(name: str, source: HubRepository, work: Path, check_space: Callable[[int], None]) -> Path:
    """Download a model into a directory within `work`, and check its files by the hashes of the Hub.

    If the download is stopped, `work` keeps the commit and all finished parts. `check_space` is called with the number
    of missing bytes. Raises ChakuError when the download fails, when a hash is wrong, and for an unknown architecture.
    """
    hub = _huggingface_hub(source.repository)
    directory = work / "files"
    record = directory / REVISION_FILE
    revision = source.revision or (read_json(record)["revision"] if record.is_file() else None)
    with _errors_in_a_line(source.repository):
        about = hub.HfApi().model_info(
            source.repository, revision=revision, files_metadata=True, timeout=TIMEOUT_SECONDS
        )
    write_json(record, {"repository": source.repository, "revision": about.sha})
    files = {file.rfilename: file for file in about.siblings or ()}
    names = _wanted(list(files))
    total = sum(files[file].size or 0 for file in names)
    here = min(size_of(directory), total)
    check_space(total - here)

    def download(*names: str) -> None:
        with _errors_in_a_line(source.repository), _no_bars():
            hub.snapshot_download(
                source.repository, revision=about.sha, local_dir=directory, allow_patterns=list(names)
            )

    with progress(f"getting {name}", total, "bytes", initial=here) as bar:
        with watch(bar, lambda: min(size_of(directory), total)):
            if "config.json" in names:
                download("config.json")
                _refuse_unknown(directory)
            download(*names)
        bar.advance(max(0, total - bar.done))
    for file in names:
        _check(source.repository, directory / file, files[file])
    shutil.rmtree(directory / ".cache", ignore_errors=True)  # huggingface_hub's notes about this download
    return directory


def _wanted(names: list[str]) -> list[str]:
    """The files to download; of the weights safetensors if there are any, else PyTorch's `.bin`, else Meta's shards."""
    weights = "consolidated.*.pth"
    if "config.json" in names:
        weights = "model*.safetensors" if any(name.startswith("model") for name in names) else "pytorch_model*.bin*"
    return [name for name in names if any(fnmatch(name, pattern) for pattern in (*_FILES, weights))]


def _refuse_unknown(directory: Path) -> None:
    """Raises ChakuError for a directory whose `config.json` names an unknown architecture."""
    from chaku.checkpoint.huggingface import load_config  # torch takes a second

    load_config(directory)


def _check(repository: str, path: Path, stated: Any) -> None:
    """Compare a file with the Hub's hash: SHA-256 for a large file, git's blob hash for a small file."""
    if not path.is_file():
        raise ChakuError(f"{path.name} of {repository} is missing: the download was cut off; try again")
    if stated.lfs:
        expected, found = stated.lfs.sha256, sha256_file(path)
    else:
        data = path.read_bytes()
        expected, found = stated.blob_id, hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    if expected and found != expected:
        path.unlink()
        raise ChakuError(
            f"{path.name} of {repository} has the hash {found}, but {expected} is expected; the file is deleted: try "
            "again"
        )


def _huggingface_hub(repository: str) -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise ChakuError(f"{repository} is on the Hub; to download it: pip install 'chaku[hub]'") from None
    return huggingface_hub


@contextmanager
def _no_bars() -> Iterator[None]:
    """Hide huggingface_hub's progress bars inside the block: chaku's bar replaces them and obeys `--quiet`."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()


@contextmanager
def _errors_in_a_line(repository: str) -> Iterator[None]:
    """Turn errors of the Hub and of the network inside the block into ChakuErrors. A full disk stays an OSError."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        yield
    except ChakuError:
        raise
    except Exception as error:  # versions of huggingface_hub use different HTTP libraries with different errors
        if isinstance(error, OSError) and error.errno in (13, 20, 28, 30, 122):
            raise
        kind = type(error).__name__
        if isinstance(error, GatedRepoError):
            reason = "its owner requires you to accept a licence: accept it on the model's page, then `hf auth login`"
        elif isinstance(error, RepositoryNotFoundError):
            reason = "the Hub has no such repository, or it is private: check its name, or `hf auth login`"
        elif isinstance(error, RevisionNotFoundError):
            reason = "the Hub no longer has the commit of this download; remove its .download directory and try again"
        elif any(word in kind for word in ("Connect", "Timeout", "Offline", "LocalEntry", "Snapshot")):
            reason = "the Hub cannot be reached (is there a network?)"
        elif any(word in kind for word in ("Read", "Protocol")):
            reason = "the download was cut off; run the same command again: finished parts are kept"
        else:
            reason = (str(error).splitlines() or [kind])[0]
        raise ChakuError(f"{repository}: {reason}") from error
