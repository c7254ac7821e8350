"""Files of rows in an object store or on a server, under a URL that fsspec opens: s3://, gs://, az://, https:// ..."""

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any

from chaku.errors import ChakuError

BUFFER = 4 << 20  # bytes that one request asks for; a request to a store takes about as long as the transfer of these
# Facts about a file that change with its content; which of them there are depends on the store.
VERSIONS = ("ETag", "etag", "md5Hash", "generation", "mtime", "LastModified", "last_modified", "updated", "created")
# Credentials in a URL: a name and a password (github://owner:repository@ has none), or the signature of a web address.
_PASSWORD = re.compile(r"(?<!github)(?<!git)://[^/@]*:[^/]*@")
_SIGNATURE = re.compile(
    r"https?://[^?]*\?(?:.*&)?(?:x-(?:amz|goog)-signature|signature|sig|(?:\w+_)?token|\w*key|password)=", re.IGNORECASE
)


@dataclass(frozen=True, order=True)
class RemoteFile:
    """One file under a URL, with as much of a Path as reading needs. `version`: a number that changes with the file.

    `within`: its path in the folder that was named; else its name.
    """

    url: str
    size: int
    version: int
    within: str = ""

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        is_web = self.url.startswith(("http://", "https://"))  # in a store, a question mark is a part of a name
        return PurePosixPath(self.url.partition("?")[0] if is_web else self.url).name

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    def open(self, mode: str = "rb") -> IO[bytes]:
        """Its bytes. A failure of the store, here or in a read, is a ChakuError: it says nothing of the file."""
        import fsspec

        assert mode == "rb"
        with _explained(self.url):
            return io.BufferedReader(_Reads(fsspec.open(self.url, "rb").open(), self.url), BUFFER)


def is_url(path: str) -> bool:
    """Whether a source's path names a place that fsspec opens."""
    return "://" in path


def refuse_credentials(url: str) -> None:
    """Raise ChakuError, which does not show them, if a URL has credentials: a corpus keeps the URLs of its sources."""
    if _PASSWORD.search(url) or _SIGNATURE.match(url):
        shown = re.sub(r"://[^/]*@", "://", url.partition("?")[0])
        raise ChakuError(
            f"the URL {shown} has a password, a key or a signature in it, which the corpus would keep; leave it out, "
            "and name the credentials as the store's driver reads them (environment variables or its file of settings)"
        )


def find_remote(url: str, is_wanted: Callable[[RemoteFile], bool]) -> list[RemoteFile]:
    """The files that a URL names: one file, the files of a pattern, or all files below a folder that `is_wanted` takes.

    Raises ChakuError for a URL that cannot be read, and where the package for its store is missing.
    """
    from fsspec.core import url_to_fs

    refuse_credentials(url)
    with _explained(url):
        store, path = url_to_fs(url)
        store.invalidate_cache()  # a listing of before may be kept in this process
        if any(sign in path for sign in "*?[") and not store.exists(path):  # a name may have these signs too
            found = store.glob(path, detail=True)
        elif store.isdir(path):
            found = store.find(path, detail=True)
            return [file for file in _files(store, found, path) if is_wanted(file)]
        else:
            found = {path: store.info(path)} if store.exists(path) else {}
        return list(_files(store, found))


def _files(store: Any, found: dict[str, dict[str, Any]], folder: str | None = None) -> Iterator[RemoteFile]:
    for path, about in found.items():
        if about.get("type") == "file":
            facts = repr([about.get(name) for name in VERSIONS])
            version = int.from_bytes(hashlib.sha256(facts.encode()).digest()[:7])
            within = path.rpartition("/")[2] if folder is None else path.removeprefix(folder).lstrip("/")
            yield RemoteFile(store.unstrip_protocol(path), about.get("size") or 0, version, within)


@contextmanager
def _explained(url: str) -> Iterator[None]:
    try:
        yield
    except ChakuError:
        raise
    except Exception as error:  # each driver, and each library below it, raises classes of its own
        raise ChakuError(
            f"{url} cannot be read ({type(error).__name__}: {error}); check the URL, the network and the store's "
            "credentials; the same command goes on"
        ) from error


class _Reads(io.RawIOBase):
    """A file of a driver, whose errors are explained."""

    def __init__(self, file: Any, url: str):
        self._file, self._url = file, url

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def readinto(self, buffer: Any) -> int:
        with _explained(self._url):
            part = self._file.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def seek(self, place: int, whence: int = 0) -> int:
        with _explained(self._url):
            return int(self._file.seek(place, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
