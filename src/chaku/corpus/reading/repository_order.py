"""Order the files of every repository of a corpus so that a file comes after the files that it imports."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import basename, dirname, splitext
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chaku.corpus.reading.imports import Import, find_imports
from chaku.documents import COMMIT, DOCSTRINGS, PIECE, document_files
from chaku.errors import ChakuError
from chaku.files import atomic_file

# `document`: its index in the split. `repository`: the index of its repository here. `name`, `path`: as they are shown
# in a document of the repository; a file without a repository has an empty name, and an index of its own.
ORDER_SCHEMA = pa.schema(
    [
        ("document", pa.int64()),
        ("repository", pa.int64()),
        ("name", pa.string()),
        ("path", pa.string()),
        ("language", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a repository. `document`: its index in the split. `path` lies in the repository."""

    document: int
    path: str
    language: str
    imports: Sequence[Import]


def write_order(corpus: Path, split: str, out: Path, seed: int, work: Callable[..., Any] = map) -> tuple[int, int]:
    """Write the files of a split, grouped by repository and in their order, to `out`.

    Returns the numbers of files and of repositories. Parts of files (pieces, docstrings) and commits are left out.
    `work`: a `map` over the shards. Memory holds the paths and imports of the split. Raises ChakuError for a corpus
    without files.
    """
    repositories: dict[tuple[str, str], list[File]] = {}  # by its full name, and the name to show
    alone: list[File] = []
    first = 0
    for num_rows, found in work(_read_shard, document_files(corpus, split)):
        for row, names, path, language, imports in found:
            file = File(first + row, path, language, imports)
            if names is None:
                alone.append(file)
            else:
                repositories.setdefault(names, []).append(file)
        first += num_rows
    groups = [(names[1], order_files(files, names[0], seed)) for names, files in sorted(repositories.items())]
    groups += [("", [file]) for file in alone]
    rows = [
        (file.document, number, name, file.path, file.language)
        for number, (name, files) in enumerate(groups)
        for file in files
    ]
    with atomic_file(out) as path:
        columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) or [[] for _ in ORDER_SCHEMA]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, ORDER_SCHEMA, strict=True)]
        pq.write_table(pa.Table.from_arrays(arrays, schema=ORDER_SCHEMA), path, compression="zstd")
    return len(rows), len(repositories)


def order_files(files: Sequence[File], repository: str, seed: int) -> list[File]:
    """The files of a repository, each after the files that it imports, as close behind them as possible.

    The walk begins at the files in a random order, drawn by (seed, repository, path), and visits a file's imports
    before the file. An import that leads back to a file that is being visited closes a cycle, and is ignored.
    """
    index = _Index(files, basename(repository))
    roots = sorted(range(len(files)), key=lambda number: _draw(seed, repository, files[number].path))
    ordered: list[File] = []
    seen: set[int] = set()
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(index.imported(root)))]
        while stack:
            number, imports = stack[-1]
            following = next((target for target in imports if target not in seen), None)
            if following is None:
                ordered.append(files[number])
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(index.imported(following))))
    return ordered


class _Index:
    """The files of a repository by path, by name, and by folder. `name`: of the repository's own folder."""

    def __init__(self, files: Sequence[File], name: str):
        self.files = files
        self.name = name
        self.by_path: dict[str, int] = {}
        self.by_name: dict[str, list[int]] = {}
        self.by_folder: dict[str, list[int]] = {}
        for number, file in sorted(enumerate(files), key=lambda item: item[1].path):
            self.by_path.setdefault(file.path, number)
            self.by_name.setdefault(basename(file.path), []).append(number)
            self.by_folder.setdefault(dirname(file.path), []).append(number)
        self.folders: dict[str, list[str]] = {}  # by the name of the folder
        for folder in self.by_folder:
            self.folders.setdefault(basename(folder), []).append(folder)

    def imported(self, number: int) -> list[int]:
        """The files that a file imports, without itself, in the order of its imports."""
        found: dict[int, None] = {}
        for candidates in self.files[number].imports:
            targets = next(filter(None, (self._find(candidate, number) for candidate in candidates)), [])
            found |= dict.fromkeys(targets)
        found.pop(number, None)
        return list(found)

    def _find(self, candidate: str, importer: int) -> list[int]:
        exact, path = candidate[0] == "=", candidate[1:]
        if basename(path).startswith("*."):
            return self._files_of_folder(dirname(path), splitext(path)[1], importer)
        if exact:
            return [self.by_path[path]] if path in self.by_path else []
        places = [
            number for number in self.by_name.get(basename(path), ()) if _ends_with(self.files[number].path, path)
        ]
        if places:
            return [min(places, key=lambda number: self._distance(self.files[number].path, importer))]
        top, _, rest = path.partition("/")  # the repository's own folder is the package
        return [self.by_path[rest]] if top == self.name and rest in self.by_path else []

    def _files_of_folder(self, folder: str, ending: str, importer: int) -> list[int]:
        places = [place for place in self.folders.get(basename(folder), ()) if _ends_with(place, folder)]
        if not places:
            return []
        nearest = min(places, key=lambda place: self._distance(place, importer))
        return [
            number
            for number in self.by_folder[nearest]
            if self.files[number].path.endswith(ending) and not self.files[number].path.endswith(f"_test{ending}")
        ]

    def _distance(self, path: str, importer: int) -> tuple[int, int, str]:
        """Sorts the place of a file: the most folders in common with the importer, the shortest path, the name."""
        common = 0
        for ours, theirs in zip(path.split("/"), self.files[importer].path.split("/"), strict=False):
            if ours != theirs:
                break
            common += 1
        return -common, len(path), path


def _ends_with(path: str, end: str) -> bool:
    return path == end or path.endswith(f"/{end}")


def _draw(seed: int, repository: str, path: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{repository}\0{path}".encode()).digest()


Names = tuple[str, str]


def _read_shard(shard: Path) -> tuple[int, list[tuple[int, Names | None, str, str, list[Import]]]]:
    """In a worker: the number of rows of a shard, and (row, names, path, language, imports) of each whole file.

    `names`: of the repository, in full and to show; None for a file without a repository.
    """
    found = []
    first = 0
    try:
        with pq.ParquetFile(shard) as file:
            wanted = ["text", "path", "language", "kind", "source"]
            if "repository" in file.schema_arrow.names:  # an earlier version wrote it only for near-duplicates
                wanted.append("repository")
            for batch in file.iter_batches(batch_size=256, columns=wanted):
                for row, document in enumerate(batch.to_pylist(), first):
                    if document["kind"] in (PIECE, COMMIT) or document["language"] == DOCSTRINGS:
                        continue
                    names, path = _place(document.get("repository"), document["source"], document["path"])
                    language = document["language"]
                    found.append((row, names, path, language, find_imports(document["text"], path, language)))
                first += batch.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise ChakuError(f"{shard} cannot be read ({error}); build the corpus again") from error
    return first, found


def _place(repository: str | None, source: str, path: str) -> tuple[Names | None, str]:
    """A repository's names and a file's path in it. In a tree of repositories, a folder at the top is a repository."""
    if not repository:
        return None, path
    top, slash, rest = path.partition("/")
    if slash and repository == f"{source}/{top}":
        return (repository, top), rest
    return (repository, repository), path
