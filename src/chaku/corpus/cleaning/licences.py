"""Find a file's licence: by its SPDX tag, or by the text of the nearest LICENSE file above it. Never guess."""

import os
import re
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

_SPDX = re.compile(r"SPDX-License-Identifier:[ \t]*([\w.+() -]*[\w.+)])")
_FILE = re.compile(r"((un)?licen[cs]e|copying)(-[\w.]+)?(\.(txt|md|rst|lesser))?", re.I)
_SHARED = ("site-packages", "dist-packages", "node_modules")  # directories that many projects share

# Words that occur in one licence only; names as GitHub spells them. The first licence in a file counts: some licence
# files go on with the licences of other works.
_WORDS = (
    ("MIT", r"permission is hereby granted, free of charge, to any person obtaining a copy of this software"),
    ("Apache-2.0", r"apache license,? version 2\.0"),
    ("BSD-3-Clause", r"redistribution and use in source and binary forms(?=.{,1500}neither the name)"),
    ("BSD-2-Clause", r"redistribution and use in source and binary forms"),
    ("AGPL-3.0", r"gnu affero general public license,? version 3"),
    ("LGPL-3.0", r"gnu lesser general public license,? version 3"),
    ("LGPL-2.1", r"gnu lesser general public license,? version 2\.1"),
    ("LGPL-2.0", r"gnu library general public license,? version 2"),
    ("GPL-3.0", r"gnu general public license,? version 3"),
    ("GPL-2.0", r"gnu general public license,? version 2"),
    ("MPL-2.0", r"mozilla public license,? version 2\.0"),
    (
        "ISC",
        r"permission to use, copy, modify, and(/or)? distribute this software for any purpose with or without",
    ),
    ("BSL-1.0", r"boost software license - version 1\.0"),
    ("Unlicense", r"this is free and unencumbered software released into the public domain"),
    ("CC0-1.0", r"cc0 1\.0 universal"),
    ("PSF-2.0", r"python software foundation license version 2"),
    ("Zlib", r"altered source versions must be plainly marked as such"),
)
UNKNOWN_LICENCE, OTHER_LICENCE = "licence unknown", "licence not on the list"  # why a document is dropped
# SPDX names of licences that ask for no more than a notice (the Blue Oak Council's list, its usual entries).
PERMISSIVE = (
    *("MIT", "MIT-0", "MIT-Modern-Variant", "Apache-2.0", "BSD-1-Clause", "BSD-2-Clause", "BSD-2-Clause-Patent"),
    *("BSD-3-Clause", "BSD-3-Clause-Clear", "0BSD", "ISC", "Zlib", "libpng-2.0", "BSL-1.0", "Unlicense", "CC0-1.0"),
    *(
        "PSF-2.0",
        "Python-2.0",
        "PostgreSQL",
        "NCSA",
        "X11",
        "curl",
        "BlueOak-1.0.0",
        "UPL-1.0",
        "MulanPSL-2.0",
        "WTFPL",
    ),
)
_ALL = [(name, re.compile(words)) for name, words in _WORDS]


def licence_tag(text: str) -> str | None:
    """The SPDX expression in the first 3,000 characters of a file, or None."""
    found = _SPDX.search(text[:3000])
    return found[1] if found else None


def name_licence(text: str) -> str | None:
    """The name of the licence with this text; None for an unknown text."""
    words = " ".join(text.lower().split())
    found = [(match.start(), place) for place, (_, pattern) in enumerate(_ALL) if (match := pattern.search(words))]
    return _ALL[min(found)[1]][0] if found else None


def licence_near(directory: Path, root: Path) -> str | None:
    """The licence in the LICENSE or COPYING files of `directory`, or else of its nearest parent that has such files.

    The search ends at `root`. None when the files hold several licences, or an unknown one.
    """
    while directory.name not in _SHARED:
        names = _licences_in(directory)
        if names is None or names:
            return next(iter(names)) if names and len(names) == 1 else None
        if directory == root:
            break
        directory = directory.parent
    return None


@lru_cache(maxsize=1 << 16)
def _licences_in(directory: Path) -> frozenset[str | None] | None:
    """The licences of a directory's own licence files; None when they cannot be read."""
    try:
        files = [directory / name for name in os.listdir(directory) if _FILE.fullmatch(name)]  # noqa: PTH208 (a tenth of the time)
        texts = [file.read_bytes()[:200_000].decode("utf-8", "replace") for file in files if file.is_file()]
    except OSError:
        return None
    return frozenset(map(name_licence, texts))


def allows(allowed: Collection[str], licence: str | None) -> bool:
    """Whether a licence, as SPDX writes it, is among the allowed ones.

    Of `A OR B` one is enough, of `A AND B` both must be allowed; `-only`, `-or-later`, `+` and `WITH ...` change
    nothing. "permissive" stands for PERMISSIVE, and "unknown" allows None.
    """
    names = {_plain(name) for name in allowed}
    if licence is None:
        return "unknown" in names
    if "permissive" in names:
        names.update(map(_plain, PERMISSIVE))
    return any(
        all(_plain(part) in names for part in re.split(r"\s+AND\s+", choice, flags=re.I))
        for choice in re.split(r"\s+OR\s+|[/,]", licence, flags=re.I)
    )


def _plain(name: str) -> str:
    name = re.split(r"\s+WITH\s+", name.strip(" ()"), flags=re.I)[0].lower()
    return re.sub(r"(-only|-or-later|\+)$", "", name.strip())
