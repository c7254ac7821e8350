"""How far the build of a corpus is: written when a shard is full, so that a killed build goes on from there."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

from chaku.corpus.admission import Admission
from chaku.corpus.file_list import FILE_LIST, FileList, read_file_list, write_file_list
from chaku.corpus.shards import document_hashes
from chaku.files import RECORD, read_json, write_json
from chaku.ownership import MARKER

_STATE, _HASHES = "reached.json", "hashes.jsonl"


@dataclass(frozen=True)
class BuildProgress:
    """The next source, by its place in the list, its waves that are done, and the number of whole shards."""

    source: int = 0
    waves: int = 0
    num_shards: dict[str, int] = field(default_factory=lambda: {"train": 0, "heldout": 0})


def write_progress(
    directory: Path, reached: BuildProgress, hashes: Mapping[str, str], files: FileList, admission: Admission
) -> None:
    """Say that all before `reached` is in shards that are whole. `hashes`: of the files that were read."""
    if not (directory / FILE_LIST).exists():
        write_file_list(directory, files, {})
    written = read_json(directory / _STATE)["hash_bytes"] if (directory / _STATE).exists() else 0
    num_written = read_json(directory / _STATE)["num_hashes"] if written else 0
    with (directory / _HASHES).open("r+b" if written else "wb") as file:
        file.truncate(written)  # what is after it was written by a process that was killed before it could say so
        file.seek(written)
        file.write("".join(f"{json.dumps(item)}\n" for item in islice(hashes.items(), num_written, None)).encode())
        hash_bytes = file.tell()
    state = {"reached": asdict(reached), "num_hashes": len(hashes), "hash_bytes": hash_bytes}
    write_json(directory / _STATE, {**state, "admission": admission.state()})


def read_progress(directory: Path, files: FileList, admission: Admission) -> tuple[BuildProgress, dict[str, str]]:
    """How far an earlier build came, with the hashes of the files that it read; `admission` goes on from there.

    A build of other files, or of files that changed since, counts for nothing: it is removed.
    """
    if (directory / _STATE).exists() and read_file_list(directory) == files:
        state = read_json(directory / _STATE)
        reached = BuildProgress(**state["reached"])
        lines = (directory / _HASHES).read_bytes()[: state["hash_bytes"]].splitlines()
        counts = reached.num_shards.items()
        whole = {f"{split}-{number:05}.parquet" for split, count in counts for number in range(count)}
        for path in directory.glob("*-*.parquet"):
            if path.name not in whole:
                path.unlink()
        admission.restore(state["admission"], document_hashes(directory))
        return reached, dict(json.loads(line) for line in lines)
    for path in directory.iterdir():
        if path.name not in (RECORD, MARKER):
            path.unlink()
    return BuildProgress(), {}


def remove_progress(directory: Path) -> None:
    """The build is at its end."""
    for name in (_STATE, _HASHES):
        (directory / name).unlink(missing_ok=True)
