"""Records what a corpus forgets: the documents that were dropped or changed, the sources' revisions, and the checks.

A kept document is a row of train-*.parquet or heldout-*.parquet; a dropped one is a row of lineage-*.parquet.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import chaku
from chaku.corpus.admission import NO_CAP_LEFT, REPEATS_PROBLEM, SAME_TEXT
from chaku.corpus.cleaning.cleaner import HAS_SECRET, OPTED_OUT, Cleaning
from chaku.corpus.cleaning.filters import chosen_rules
from chaku.corpus.cleaning.licences import OTHER_LICENCE, UNKNOWN_LICENCE
from chaku.corpus.near_duplicates.config import NearDuplicatesConfig
from chaku.corpus.near_duplicates.drop import REASONS
from chaku.corpus.reading.revisions import Revision, revisions
from chaku.corpus.reading.sources import OVER_CAP, Raw, Source, machine_sources
from chaku.documents import DROPPED
from chaku.files import write_json

LINEAGE = "lineage.json"  # in the directory of a corpus: its sources, and the checks that a document went through
PREFIX = "lineage"  # of the files of dropped and changed documents
ROW_GROUP = 1 << 14  # rows in memory before they are written
READ = "read"  # the first check: a document whose reason belongs to no other check could not be read


class LineageWriter:
    """Writes DIRECTORY/lineage-NNNNN.parquet, from number `num_shards` on: a row for a dropped or changed document.

    `reason`: why it was dropped, None for a document that was kept. `detail`: what was found in it, or replaced.
    `sha256`: of its text, None where that was not computed.
    """

    def __init__(self, directory: Path, num_shards: int = 0):
        self.directory, self.num_shards = directory, num_shards
        self._waiting: list[dict[str, object]] = []
        self._file: pq.ParquetWriter | None = None

    def record(self, raw: Raw, reason: str | None, digest: bytes, size: int) -> None:
        """Note a document, unless it was kept as it was read."""
        if reason is None and not raw.replaced:
            return
        detail = raw.detail if reason else ", ".join(f"{places} x {what}" for what, places in raw.replaced)
        fields = {"path": raw.path, "source": raw.source, "repository": raw.repository, "kind": raw.kind}
        about = {"language": raw.language, "license": raw.license, "bytes": size, "sha256": digest.hex() or None}
        self._waiting.append({**fields, **about, "reason": reason, "detail": detail})
        if len(self._waiting) >= ROW_GROUP:
            self._flush()

    def finish_shard(self) -> None:
        """Close the open file, if any; the next document begins another file."""
        if self._waiting:
            self._flush()
        if self._file:
            self._file.close()
            self.num_shards += 1
        self._file = None

    def _flush(self) -> None:
        if self._file is None:
            path = self.directory / f"{PREFIX}-{self.num_shards:05}.parquet"
            self._file = pq.ParquetWriter(path, DROPPED, compression="zstd")
        self._file.write_table(pa.Table.from_pylist(self._waiting, DROPPED))
        self._waiting = []


def checks(cleaning: Cleaning, near_duplicates: NearDuplicatesConfig | None) -> list[dict[str, Any]]:
    """The checks that a document goes through, in order: {"check": its name, "reasons": why it may drop a document}."""
    found: list[dict[str, Any]] = [{"check": READ, "reasons": []}]
    if cleaning.opt_out:
        found.append({"check": "opt-out list", "reasons": [OPTED_OUT]})
    if cleaning.licenses is not None:
        allowed = ", ".join(cleaning.licenses)
        found.append({"check": f"licences ({allowed})", "reasons": [UNKNOWN_LICENCE, OTHER_LICENCE]})
    if rules := chosen_rules(cleaning.filters):
        sets = cleaning.filters if isinstance(cleaning.filters, str) else ", ".join(cleaning.filters)
        found.append({"check": f"filters ({sets})", "reasons": list(dict.fromkeys(rule.reason for rule in rules))})
    if cleaning.decontaminate:
        found.append({"check": "problems of benchmarks", "reasons": [REPEATS_PROBLEM]})
    if cleaning.secrets != "keep":
        found.append({"check": f"secrets ({cleaning.secrets})", "reasons": [HAS_SECRET]})
    found.append({"check": "exact duplicates", "reasons": [SAME_TEXT]})
    found.append({"check": "caps", "reasons": [OVER_CAP, NO_CAP_LEFT]})
    if near_duplicates:
        found.append({"check": f"near-duplicates (by {near_duplicates.by})", "reasons": list(REASONS)})
    return found


def write_lineage(
    directory: Path, sources: Iterable[Source], cleaning: Cleaning, near_duplicates: NearDuplicatesConfig | None
) -> dict[str, Any]:
    """Write DIRECTORY/lineage.json; returns its content."""
    places = [place for source in sources for place in (machine_sources() if source.type == "machine" else [source])]
    content = {
        "chaku": chaku.__version__,
        "sources": [_about(place) for place in places],
        "checks": checks(cleaning, near_duplicates),
    }
    write_json(directory / LINEAGE, content)
    return content


def _about(source: Source) -> dict[str, Any]:
    found: dict[str, Revision] = {}
    if source.type in ("tree", "git"):
        found = revisions(Path(source.path))
    about = {"name": source.name, "type": source.type, "path": source.path, "license": source.license}
    within = [{"within": within, "commit": one.commit, "origin": one.origin} for within, one in sorted(found.items())]
    return {**about, "revisions": within}
