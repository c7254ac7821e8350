"""Says a document's way through the build of a corpus: where it came from, what it passed, why it was dropped."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from chaku.console import short
from chaku.corpus.admission import SAME_TEXT
from chaku.corpus.lineage.read import FILE, Lineage
from chaku.corpus.lineage.write import PREFIX, READ
from chaku.corpus.near_duplicates.drop import IN_REPOSITORY, NEAR_DUPLICATE, PART
from chaku.errors import ChakuError

MOST = 20  # ways that are shown
HASH = re.compile(r"[0-9a-f]{8,64}")  # a hash, or the beginning of one


@dataclass(frozen=True)
class Way:
    """A document's way. `shard`: the file of a kept document, None for a dropped one.

    `file`, `file_sha256`: the source's file, and its hash when it was read; None for a row of a file of rows.
    `passed`: the checks that it passed, in order. `dropped_by`, `reason`, `detail`: the check that dropped it.
    `replaced`: secrets and personal data that were replaced in it. `kept_copy`: SOURCE/PATH of the copy that was kept
    in its place. `copies`: SOURCE/PATH of the copies that were dropped for it.
    """

    source: str
    path: str
    kind: str
    language: str
    license: str | None
    repository: str | None
    bytes: int
    sha256: str | None
    revision: str | None
    origin: str | None
    file: str | None
    file_sha256: str | None
    shard: str | None
    passed: tuple[str, ...]
    dropped_by: str | None
    reason: str | None
    detail: str
    replaced: str
    kept_copy: str | None
    copies: tuple[str, ...]


def ways(lineage: Lineage, name: str) -> list[Way]:
    """The ways of the documents of a name, at most MOST: a path, the end of a path, or a hash of a text or of a file.

    Raises ChakuError for a name that no document has.
    """
    rows = list(_unique(lineage.rows(_condition(lineage, name))))
    if not rows:
        older = "" if lineage.checks else "; the corpus is of an earlier version, and forgot what it dropped"
        raise ChakuError(f"{_nothing(lineage, name)}{older}")
    return [_way(lineage, row) for row in rows[:MOST]]


def in_lines(way: Way) -> list[str]:
    """A way in words."""
    licence = way.license or "unknown"
    about = f"{way.kind}, {way.language}, {short(way.bytes)}B, licence {licence}"
    lines = [f"{way.source}/{way.path}: {about}"]
    if way.file:
        digest = f", SHA-256 {way.file_sha256[:12]}" if way.file_sha256 else ""
        lines.append(f"  file      {way.file}{digest}")
    if way.revision:
        lines.append(f"  revision  {way.revision}{f' of {way.origin}' if way.origin else ''}")
    if way.repository:
        lines.append(f"  of        {way.repository}")
    if way.passed:
        lines.append(f"  passed    {', '.join(way.passed)}")
    if way.replaced:
        lines.append(f"  replaced  {way.replaced}")
    if way.reason:
        detail = f" ({way.detail})" if way.detail else ""
        instead = f"; kept: {way.kept_copy}" if way.kept_copy else ""
        lines.append(f"  dropped   {way.reason}{detail}, by {way.dropped_by}{instead}")
    else:
        lines.append(f"  kept      {way.shard}, SHA-256 {way.sha256}")
    if way.copies:
        more = f" and {len(way.copies) - 5} more" if len(way.copies) > 5 else ""
        lines.append(f"  copies    dropped for it: {', '.join(way.copies[:5])}{more}")
    return lines


def _condition(lineage: Lineage, name: str) -> pc.Expression:
    if HASH.fullmatch(name):
        found = pc.starts_with(pc.field("sha256"), name)
        for path in lineage.files_with_hash(name):
            found = found | _has_name(lineage, path)
        return found | _has_name(lineage, name)
    return _has_name(lineage, name)


def _has_name(lineage: Lineage, name: str) -> pc.Expression:
    """The rows of a path: relative to its source, with the source's name before it, absolute, or the end of one."""
    path = pc.field("path")
    found = _is_path(name) | pc.ends_with(path, f"/{name}")
    for source in lineage.sources:
        if name.startswith(f"{source['name']}/"):
            found = found | ((pc.field("source") == source["name"]) & _is_path(name[len(source["name"]) + 1 :]))
        if within := relative_to(source, name):
            found = found | ((pc.field("source") == source["name"]) & _is_path(within))
    return found


def _is_path(path: str) -> pc.Expression:
    return (pc.field("path") == path) | pc.starts_with(pc.field("path"), f"{path}#")


def relative_to(source: dict[str, Any], name: str) -> str:
    """A file's path within a source that is a directory; "" for a file outside."""
    if source["type"] not in ("tree", "git"):
        return ""
    root, path = os.path.abspath(source["path"]), os.path.abspath(name)  # noqa: PTH100 (resolve follows links)
    return path[len(root) + 1 :] if path.startswith(f"{root}/") else ""


def _nothing(lineage: Lineage, name: str) -> str:
    if not Path(name).exists():
        return f"no document of {lineage.directory} has the name or hash {name!r}; write the path as its source has it"
    inside = [source["name"] for source in lineage.sources if relative_to(source, name)]
    if inside:
        return (
            f"{name} lies in the source {inside[0]}, but was not among its files: it was excluded by include, exclude "
            "or git, or added later"
        )
    return f"{name} lies in none of the sources of {lineage.directory}"


def _unique(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A row for a document: a kept one with replaced parts has two rows, of which the first gets the other's detail."""
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    others = []
    for row in rows:
        kept = seen.get((row["source"], row["path"]))
        if kept is None and row["reason"] is None:
            seen[row["source"], row["path"]] = row
        elif kept is not None and row["reason"] is None:
            kept["replaced"] = row["detail"]
        else:
            others.append(row)
    yield from seen.values()
    yield from others


def _way(lineage: Lineage, row: dict[str, Any]) -> Way:
    source = next((one for one in lineage.sources if one["name"] == row["source"]), {})
    file = None
    if source.get("type") in ("tree", "git"):
        file = str(Path(source["path"]) / row["path"].partition("#")[0])
    revision = _revision(source, row["path"])
    reason = row["reason"]
    place = next((number for number, check in enumerate(lineage.checks) if reason in check["reasons"]), 0)
    passed = lineage.checks[:place] if reason else lineage.checks
    kept_copy, copies = _copies(lineage, row)
    is_kept = not reason and not row[FILE].startswith(PREFIX)
    return Way(
        **{name: row[name] for name in ("source", "path", "kind", "language", "license", "repository", "sha256")},
        bytes=row["bytes"] or 0,
        revision=revision.get("commit"),
        origin=revision.get("origin"),
        file=file,
        file_sha256=lineage.file_hash(Path(file)) if file else None,
        shard=row[FILE] if is_kept else None,
        passed=tuple(check["check"] for check in passed),
        dropped_by=(lineage.checks[place]["check"] if lineage.checks else READ) if reason else None,
        reason=reason,
        detail=(row["detail"] or "") if reason else "",
        replaced=row.get("replaced") or "",
        kept_copy=kept_copy,
        copies=copies,
    )


def _revision(source: dict[str, Any], path: str) -> dict[str, Any]:
    """Of the innermost checkout that holds a path."""
    found: dict[str, Any] = {}
    for one in source.get("revisions", ()):
        if not one["within"] or path.startswith(f"{one['within']}/"):
            found = one  # "" comes first
    return found


def _copies(lineage: Lineage, row: dict[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """(the copy that was kept in a document's place, the copies that were dropped for it)."""
    path, reason = row["path"], row["reason"]
    of = pc.field("path") == {PART: path.rpartition("#")[0], IN_REPOSITORY: row["repository"]}.get(reason, path)
    if reason == SAME_TEXT:
        same = lineage.rows(pc.field("sha256") == row["sha256"])
        kept = next((other for other in same if other["reason"] != SAME_TEXT), None)
        if kept is None:
            return None, ()
        if kept["reason"]:  # it was dropped later, as a near-duplicate
            return _copies(lineage, kept)[0], ()
        return _name(kept), ()
    if reason in (NEAR_DUPLICATE, PART, IN_REPOSITORY):
        if reason != IN_REPOSITORY:
            of = of & (pc.field("source") == row["source"])
        near = lineage.near_duplicates(of)
        return (f"{near[0]['kept_source']}/{near[0]['kept_path']}" if near else None), ()
    if reason:
        return None, ()
    near = lineage.near_duplicates((pc.field("kept_path") == path) & (pc.field("kept_source") == row["source"]))
    exact = lineage.rows((pc.field("sha256") == row["sha256"]) & (pc.field("reason") == SAME_TEXT))
    return None, tuple([_name(other) for other in exact] + [_name(other) for other in near])


def _name(row: dict[str, Any]) -> str:
    return f"{row['source']}/{row['path']}"
