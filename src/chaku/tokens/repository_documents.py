"""Join the files of a repository into documents that fit a sequence; infilling stays inside a file."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from chaku.files import atomic_directory
from chaku.tokens.infilling import Infiller
from chaku.tokens.packing import (
    BLOCK,
    INFILLING_ROOM,
    Block,
    PackingPlan,
    best_fit,
    join_blocks,
    plan_blocks,
    write_plan,
)
from chaku.tokens.repository_format import RepositoryFormat
from chaku.tokens.store import TokenStore
from chaku.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class RepositoryFiles:
    """Files of a store, grouped by repository, in the order of their imports: (num_files,) each.

    `documents`: their indices in the store, int64. `repositories`: the index of each file's repository, int64. `names`:
    the repository's name, "" for a file without a repository. `paths`: in the repository.
    """

    documents: np.ndarray
    repositories: np.ndarray
    names: list[str]
    paths: list[str]
    languages: list[str]

    @classmethod
    def read(cls, path: Path, documents: np.ndarray) -> "RepositoryFiles":
        """The files in `path` (written by `write_order`) whose indices are in `documents`."""
        table = pq.read_table(path)
        table = table.filter(np.isin(table["document"].to_numpy(), documents))
        columns = (table[name].to_pylist() for name in ("name", "path", "language"))
        return cls(table["document"].to_numpy(), table["repository"].to_numpy(), *columns)


@dataclass(frozen=True, slots=True)
class Joined:
    """`ids`: a document of several files, from BOS to EOS, int32. `fallbacks`: files whose syntax is not known."""

    ids: np.ndarray
    infilled_tokens: int
    fallbacks: int


class RepositoryDocuments:
    """Documents with files of one repository: BOS, the repository's name, its next files, EOS.

    A document holds as many whole files as fit a sequence; the next document begins with the repository's name again. A
    file that does not fit a sequence is cut like the documents of other sets, and stands alone. `plan`: an item with a
    negative document -n is the n-th document here (from 1); other items are (document of the store, start, stop).
    `directory`: where to keep the plan, as for `plan_packing`.
    """

    def __init__(
        self,
        store: TokenStore,
        files: RepositoryFiles,
        tokenizer: Tokenizer,
        sequence_length: int,
        directory: Path | None = None,
    ):
        self.store = store
        self.files = files
        self.tokenizer = tokenizer
        self.format = RepositoryFormat(tokenizer)
        self._newline = tokenizer.encode_infilling("\n")
        # `_room`: for each file, the tokens that are planned for it. `_bounds`: for each joined document, its files,
        # (num_joined, 2) int64.
        if directory is None:
            self._room, self._bounds, blocks = self._plan(sequence_length)
            self.plan = join_blocks(blocks)
            return
        if not directory.exists():
            with atomic_directory(directory) as path:
                room, bounds, blocks = self._plan(sequence_length)
                np.save(path / "room.npy", room)
                np.save(path / "bounds.npy", bounds)
                write_plan(path, blocks)
        self._room, self._bounds = (np.load(directory / f"{name}.npy", mmap_mode="r") for name in ("room", "bounds"))
        self.plan = PackingPlan.open(directory)

    def plan_by_file(self) -> PackingPlan:
        """The plan in memory, with an item for each file of a joined document, for the tokens of its text alone."""
        sequences = np.repeat(np.arange(len(self.plan)), np.diff(self.plan.offsets))
        items: list[tuple[int, int, int]] = []
        sizes = np.zeros(len(self.plan), np.int64)
        for sequence, item in zip(sequences.tolist(), self.plan.items.tolist(), strict=True):
            files = [tuple(item)]
            if item[0] < 0:
                documents = self.files.documents[slice(*self._bounds[-item[0] - 1])].tolist()
                files = [(document, 1, 1 + int(self.store.lengths[document])) for document in documents]
            items += files
            sizes[sequence] += len(files)
        return PackingPlan(np.array(items, np.int64).reshape(-1, 3), np.concatenate([[0], np.cumsum(sizes)]))

    def build(self, number: int, infiller: Infiller | None, epoch: int, room: int, progress: float = 0.0) -> Joined:
        """The joined document `number` (from 1), of at most `room` tokens. `progress`: of the stage, from 0 to 1.

        Each whole file is infilled by a draw of its own, unless that would take the room of the files after it.
        """
        first, end = self._bounds[number - 1].tolist()
        planned = self._room[first:end].tolist()
        tokenizer, files = self.tokenizer, self.files
        parts: list[list[int] | np.ndarray] = [[tokenizer.bos_id], self.format.opening(files.names[first])]
        free = room - 2 - len(parts[1]) - sum(planned)
        num_infilled = fallbacks = 0
        for file in range(first, end):
            free += planned[file - first]
            begins_text = file == first and not parts[1]
            header = self.format.before_file(files.paths[file], files.languages[file], begins_text=begins_text)
            document = int(files.documents[file])
            body: list[int] | np.ndarray | None = None
            if infiller:
                infilled = infiller(self.store[document], document, epoch, self.store.language(document), progress)
                if infilled.mode and len(infilled.ids) + len(header) <= free:
                    body = self._inside(infilled.ids, is_last=file + 1 == end)
                    num_infilled += len(body)
                    fallbacks += infilled.fell_back
            if body is None:
                body = self._text(self.store[document], is_last=file + 1 == end)
            parts += [header, body]
            free -= len(header) + len(body)
        whole = np.concatenate([np.asarray(part, dtype=np.int32) for part in parts])[: room - 1]
        return Joined(np.append(whole, np.int32(tokenizer.eos_id)), num_infilled, fallbacks)

    def _inside(self, ids: np.ndarray, *, is_last: bool) -> np.ndarray:
        """An infilled file without BOS and EOS. If EOS ends the middle too, it stays where no other token would."""
        found = self.tokenizer.infilling
        assert found is not None
        ends_itself = found.end == self.tokenizer.eos_id and not self.format.has_tokens and not is_last
        return ids[1:] if ends_itself else ids[1:-1]

    def _text(self, tokens: np.ndarray, *, is_last: bool) -> np.ndarray:
        """A file's ids after its path, with a line break at its end if another file follows."""
        parts: list[np.ndarray | list[int]] = [tokens]
        if self.tokenizer.implicit_space and not self.format.has_tokens:
            parts = self._without_implicit_space(tokens)
        if not is_last and not (len(tokens) and self.tokenizer.decode_bytes(tokens[-1:]).endswith(b"\n")):
            parts.append(self._newline)
        return np.concatenate([np.asarray(part, dtype=np.int32) for part in parts])

    def _without_implicit_space(self, tokens: np.ndarray) -> list[np.ndarray | list[int]]:
        """The ids of a text that follows another text. Where lines do not change each other, only the first changes."""
        tokenizer = self.tokenizer
        if not tokenizer.splits_at_line_breaks:
            return [tokenizer.encode_infilling(tokenizer.decode(tokens))]
        breaks = np.flatnonzero(tokens == self._newline[0])
        end = int(breaks[0]) if len(breaks) else len(tokens)
        return [tokenizer.encode_infilling(tokenizer.decode(tokens[:end])), tokens[end:]]

    def _plan(self, sequence_length: int) -> tuple[np.ndarray, np.ndarray, Iterator[Block]]:
        """(`_room`, `_bounds`, the blocks of the plan)."""
        files, capacity = self.files, sequence_length + 1
        rooms = np.zeros(len(files.documents), np.int64)
        bounds: list[tuple[int, int]] = []
        alone: list[int] = []
        documents: list[tuple[int, tuple[int, int, int]]] = []  # room needed, item
        first = used = 0

        def close(end: int) -> None:
            if end > first:
                bounds.append((first, end))
                documents.append((used, (-len(bounds), 0, used)))

        for file, document in enumerate(files.documents.tolist()):
            if file == 0 or files.repositories[file] != files.repositories[file - 1]:
                close(file)
                first, opening = file, 2 + len(self.format.opening(files.names[file]))  # BOS and EOS
                used = opening
            header = self.format.before_file(files.paths[file], files.languages[file], begins_text=file == first)
            # The line break after the file, and the growth of its first line, are in the room for infilling.
            room = len(header) + int(self.store.lengths[document]) + INFILLING_ROOM
            rooms[file] = room
            if used + room > capacity:
                close(file)
                first, used = file, opening
            if opening + room > capacity:
                alone.append(document)
                first = file + 1
            else:
                used += room
        close(len(files.documents))
        joined = (best_fit(documents[start : start + BLOCK], capacity) for start in range(0, len(documents), BLOCK))
        cut = plan_blocks(np.array(alone, dtype=np.int64), self.store.lengths, sequence_length)
        return rooms, np.array(bounds, np.int64).reshape(-1, 2), chain(joined, cut)
