"""The documents of rows, by the keys of The Stack, The Stack v2 and other data sets."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from chaku.corpus.cleaning.filters import MAX_BYTES
from chaku.corpus.reading.languages import kind_and_language
from chaku.corpus.reading.rows import unpack
from chaku.corpus.reading.sources import Raw, Rows, as_utf8
from chaku.corpus.reading.text import clean_text

REPOSITORY = ("repository", "repo_name", "max_stars_repo_name", "repo")
STARS = ("stars", "star_events_count", "max_stars_count", "stargazers_count")
DATE = ("date", "committer_date", "revision_date", "max_stars_repo_stars_event_max_datetime")
ABOUT = frozenset((*REPOSITORY, *STARS, *DATE))


def read_raw_rows(rows: Rows) -> Iterator[Raw]:
    """The documents of some rows."""
    source, origin = rows.source, rows.origin
    for number, read in enumerate(unpack(rows.pack), rows.pack.first):
        row = read.value if isinstance(read.value, dict) else {}
        path = as_utf8(str(row.get("path") or row.get("max_stars_repo_path") or f"{Path(origin).name}#{number}"))
        field = source.text_field or next((name for name in ("text", "content", "code") if name in row), "text")
        text = row.get(field)
        problem: str | None = read.problem or ("" if isinstance(read.value, dict) else "no object")
        if not isinstance(text, str):
            problem = problem or f"no {field!r} text"
        else:
            try:
                if len(text.encode()) > MAX_BYTES:
                    problem = f"over {MAX_BYTES:,} bytes"
                else:
                    text, problem = clean_text(text)
            except UnicodeEncodeError:
                problem = "not UTF-8"
        if problem or not isinstance(text, str):
            yield Raw(path, "", "unknown", "unknown", source.name, problem=problem)
            continue
        found = kind_and_language(path, text)
        kind = source.kind if source.kind != "auto" else found[0] if found else "prose"
        language = row.get("language") or row.get("lang") or source.language or (found[1] if found else "Text")
        licence = row.get("license") or source.license
        licence = as_utf8(licence) if isinstance(licence, str) else None
        raw = Raw(path, text, kind, as_utf8(str(language)), source.name, licence)
        yield replace(raw, **_about_copy(row)) if ABOUT & row.keys() else raw


def _about_copy(row: dict[str, Any]) -> dict[str, Any]:
    repository, stars, date = (
        next((row[key] for key in keys if row.get(key)), None) for keys in (REPOSITORY, STARS, DATE)
    )
    return {
        "repository": as_utf8(repository) if isinstance(repository, str) else None,
        "stars": min(int(stars), 2**62) if isinstance(stars, int | float) and stars >= 0 else None,
        "date": None if date is None else as_utf8(str(date)),
    }
