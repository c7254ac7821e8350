"""The list of the files that a corpus was made from, with sizes, times and hashes, to detect later changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chaku.corpus.reading.remote_files import RemoteFile, is_url
from chaku.corpus.reading.sources import Source, as_utf8, source_files
from chaku.errors import ChakuError
from chaku.files import atomic_file, sha256_file

FILE_LIST = "files.parquet"  # in the directory of a corpus
_SCHEMA = pa.schema([("path", pa.string()), ("size", pa.int64()), ("mtime_ns", pa.int64()), ("sha256", pa.string())])


@dataclass(frozen=True, slots=True)
class ListedFile:
    """`sha256` is empty for a file that was never read, because of its name, its size or a cap.

    A file under a URL has no `sha256`, and the number of its version as `mtime_ns`.
    """

    size: int
    mtime_ns: int
    sha256: str = ""


FileList = dict[str, ListedFile]  # by absolute path


def list_files(sources: Iterable[Source]) -> FileList:
    """The present files of all sources, without hashes. Raises ChakuError for a source that does not exist.

    The source "machine" is left out: its files change with every package that is installed.
    """
    found: FileList = {}
    for source in sources:
        if source.type == "machine":
            continue
        for path in source_files(source):
            if isinstance(path, RemoteFile):
                found[path.url] = ListedFile(path.size, path.version)
                continue
            try:
                about = path.stat()
            except OSError:  # a dangling link; the build counts it as dropped
                continue
            found[as_utf8(str(path))] = ListedFile(about.st_size, about.st_mtime_ns)
    return found


def write_file_list(directory: Path, files: FileList, hashes: Mapping[str, str]) -> None:
    """Write DIRECTORY/files.parquet."""
    rows = [
        {"path": path, "size": file.size, "mtime_ns": file.mtime_ns, "sha256": hashes.get(path, file.sha256)}
        for path, file in files.items()
    ]
    with atomic_file(directory / FILE_LIST) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), temporary, compression="zstd")


def read_file_list(directory: Path) -> FileList | None:
    """Read the list that `write_file_list` wrote; None for a corpus of an earlier version, which has no list."""
    path = directory / FILE_LIST
    if not path.is_file():
        return None
    try:
        rows = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ChakuError(f"{path} cannot be read ({error}); build the corpus again") from error
    return {row["path"]: ListedFile(row["size"], row["mtime_ns"], row["sha256"]) for row in rows}


def describe_changes(before: FileList, sources: Iterable[Source]) -> str:
    """How the files of the sources differ from the files in a corpus's list, in words; "" when no content differs.

    A file of the same size with another time is read again and compared by its hash. Raises ChakuError for a source
    that no longer exists.
    """
    now = list_files(sources)
    added = [path for path in now if path not in before]
    gone = [path for path in before if path not in now]
    changed = [path for path, file in now.items() if path in before and _differs(path, before[path], file)]
    parts = [
        f"{len(paths)} {words} ({min(paths)}{', ...' if len(paths) > 1 else ''})"
        for words, paths in (("files edited", changed), ("files added", added), ("files gone", gone))
        if paths
    ]
    return ", ".join(parts)


def _differs(path: str, before: ListedFile, now: ListedFile) -> bool:
    if before.size != now.size:
        return True
    if is_url(path):  # its version is known, and its content is far away
        return before.mtime_ns != now.mtime_ns
    if before.mtime_ns == now.mtime_ns or not before.sha256:
        return False
    try:
        return sha256_file(Path(path)) != before.sha256
    except OSError:
        return True
