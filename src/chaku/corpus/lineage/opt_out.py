"""Finds the documents that entries of an opt-out list name in a finished corpus, and adds entries to a list."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from chaku.corpus.admission import SAME_TEXT
from chaku.corpus.cleaning.cleaner import as_entry, is_opted_out, opt_out_lines
from chaku.corpus.lineage.history import relative_to
from chaku.corpus.lineage.read import FILE, Lineage, Rows
from chaku.corpus.reading.sources import Raw
from chaku.errors import ChakuError
from chaku.files import read_text, write_text


@dataclass(frozen=True)
class Named:
    """What entries name in a corpus. `kept`: rows of documents that it holds, each with its file.

    `copies`: SOURCE/PATH of copies that were dropped for them, and that no entry names: a corpus that is built without
    them would hold these.
    """

    entries: tuple[str, ...]
    kept: Rows
    copies: tuple[str, ...]


def named_by(lineage: Lineage, names: Collection[str]) -> Named:
    """The documents of a corpus that some names mean, and their copies.

    A name is a source, a repository, SOURCE/PATH, a path as its source has it, or a file or folder of this machine; a
    folder means all that is in it. Raises ChakuError for a name that means no document, kept or dropped.
    """
    entries = tuple(dict.fromkeys(_entry(lineage, name) for name in names))
    for entry, name in zip(entries, names, strict=False):
        if next(lineage.rows(_condition(lineage, entry)), None) is None:
            raise ChakuError(
                f"no document of {lineage.directory} is named by {name!r}; write the name of a source, a repository, "
                "SOURCE/PATH, or a path as its source has it"
            )
    kept = [row for entry in entries for row in lineage.kept_rows(_condition(lineage, entry))]
    kept = list({(row["source"], row["path"]): row for row in kept}.values())
    chosen = frozenset(entries)
    copies = [row for row in _copies(lineage, kept) if not is_opted_out(_raw(row), chosen)]
    return Named(entries, kept, tuple(dict.fromkeys(f"{row['source']}/{row['path']}" for row in copies)))


def add_entries(path: Path, entries: Collection[str]) -> list[str]:
    """Add the entries that an opt-out list lacks; returns them. The list is written if it is not there.

    Raises ChakuError for a list that cannot be read or written.
    """
    before = read_text(path) if path.exists() else ""
    new = [entry for entry in dict.fromkeys(entries) if entry not in opt_out_lines(before)]
    if new:
        end = "" if not before or before.endswith("\n") else "\n"
        added = "".join(f"{entry}  # chaku corpus remove, {datetime.now(UTC):%Y-%m-%d}\n" for entry in new)
        write_text(path, f"{before}{end}{added}")
    return new


def _entry(lineage: Lineage, name: str) -> str:
    if not Path(name).exists() and not Path(name).is_absolute():
        return as_entry(name)
    for source in lineage.sources:
        if source["type"] in ("tree", "git") and Path(name).absolute() == Path(source["path"]).absolute():
            return as_entry(source["name"])
        if within := relative_to(source, name):
            return as_entry(f"{source['name']}/{within}")
    return as_entry(name)


def _condition(lineage: Lineage, entry: str) -> pc.Expression:
    """What `is_opted_out` decides, as a filter of rows."""
    source = pc.utf8_lower(pc.field("source"))
    found = (source == entry) | (pc.utf8_lower(pc.field("repository")) == entry) | _is_within(entry)
    for known in {as_entry(one["name"]) for one in lineage.sources}:
        if entry.startswith(f"{known}/"):
            found = found | ((source == known) & _is_within(entry[len(known) + 1 :]))
    return found


def _is_within(path: str) -> pc.Expression:
    field = pc.utf8_lower(pc.field("path"))
    return (field == path) | pc.starts_with(field, f"{path}/") | pc.starts_with(field, f"{path}#")


def _copies(lineage: Lineage, kept: Rows) -> Iterator[dict[str, Any]]:
    hashes = pa.array([row["sha256"] for row in kept], pa.string())
    yield from lineage.rows(pc.field("sha256").isin(hashes) & (pc.field("reason") == SAME_TEXT))
    names = {(row["source"], row["path"]) for row in kept}
    paths = pa.array([path for _, path in names], pa.string())
    for row in lineage.near_duplicates(pc.field("kept_path").isin(paths)):
        if (row["kept_source"], row["kept_path"]) in names:
            yield row


def _raw(row: dict[str, Any]) -> Raw:
    return Raw(row["path"], "", "", "", row["source"], repository=row.get("repository"))


def is_held_out(row: dict[str, Any]) -> bool:
    """Whether a kept document is in the held-out split."""
    return str(row[FILE]).startswith("heldout")
