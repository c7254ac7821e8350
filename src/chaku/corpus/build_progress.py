"""The progress of a corpus build, written when a shard is full, so that a killed build resumes there."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from chaku.corpus.admission import Admission
from chaku.corpus.reading.file_list import FILE_LIST, FileList, read_file_list, write_file_list
from chaku.corpus.shards import corpus_files, document_hashes
from chaku.corpus.worker_tasks import PARTS
from chaku.files import RECORD, read_json, write_json
from chaku.ownership import MARKER

_STATE, _HASHES = "reached.json", "hashes.jsonl"


@dataclass(frozen=True)
class BuildProgress:
    """`source`: the current source's index. `waves`: its finished waves. `num_shards`: finished shards by split."""

    source: int = 0
    waves: int = 0
    num_shards: dict[str, int] = field(default_factory=lambda: {"train": 0, "heldout": 0})


def write_progress(
    directory: Path, reached: BuildProgress, hashes: Mapping[str, str], files: FileList, admission: dict[str, Any]
) -> None:
    """Record that finished shards hold every document before `reached`.

    `hashes`: of the files that were read. `admission`: the state of the admission at that place.
    """
    if not (directory / FILE_LIST).exists():
        write_file_list(directory, files, {})
    written = read_json(directory / _STATE)["hash_bytes"] if (directory / _STATE).exists() else 0
    num_written = read_json(directory / _STATE)["num_hashes"] if written else 0
    with (directory / _HASHES).open("r+b" if written else "wb") as file:
        file.truncate(written)  # a process wrote the lines after this and was killed before it recorded them
        file.seek(written)
        file.write("".join(f"{json.dumps(item)}\n" for item in islice(hashes.items(), num_written, None)).encode())
        hash_bytes = file.tell()
    state = {"reached": asdict(reached), "num_hashes": len(hashes), "hash_bytes": hash_bytes}
    write_json(directory / _STATE, {**state, "admission": admission})


def read_progress(directory: Path, files: FileList, admission: Admission) -> tuple[BuildProgress, dict[str, str]]:
    """The progress of an earlier build, and the hashes of the files that it read; restores `admission` too.

    An earlier build from other files, or from files that changed since, is removed.
    """
    if (directory / _STATE).exists() and read_file_list(directory) == files:
        state = read_json(directory / _STATE)
        reached = BuildProgress(**state["reached"])
        lines = (directory / _HASHES).read_bytes()[: state["hash_bytes"]].splitlines()
        counts = reached.num_shards.items()
        whole = {f"{split}-{number:05}.parquet" for split, count in counts for number in range(count)}
        for path in (*corpus_files(directory), *directory.glob("lineage-[0-9]*.parquet")):
            if path.name not in whole:
                path.unlink()
        shutil.rmtree(directory / PARTS, ignore_errors=True)
        admission.restore(state["admission"], document_hashes(directory))
        return reached, dict(json.loads(line) for line in lines)
    for path in directory.iterdir():
        if path.name not in (RECORD, MARKER):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return BuildProgress(), {}


def remove_progress(directory: Path) -> None:
    """Remove the record of progress, when the build is finished."""
    for name in (_STATE, _HASHES):
        (directory / name).unlink(missing_ok=True)
