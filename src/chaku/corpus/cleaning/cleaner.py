"""What happens to a document before a corpus takes it: opt-outs, licences, filters, benchmarks, secrets."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from chaku.corpus.admission import REPEATS_PROBLEM
from chaku.corpus.cleaning.benchmark_problems import ROW_FILES, decontamination
from chaku.corpus.cleaning.facts import Facts
from chaku.corpus.cleaning.filters import chosen_rules, reason_to_drop
from chaku.corpus.cleaning.licences import OTHER_LICENCE, UNKNOWN_LICENCE, allows
from chaku.corpus.cleaning.personal import PERSONAL
from chaku.corpus.cleaning.redaction import redact
from chaku.corpus.reading.sources import Raw
from chaku.errors import ChakuError
from chaku.files import read_text, sha256_file
from chaku.settings import setting

HAS_SECRET, OPTED_OUT = "a secret", "opted out"  # why a document is dropped


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """The rules for single documents, as keys of [corpus].

    `filters`: the name of a set in `filters.py`, or a list of names; an empty list filters nothing. `licenses`: drop a
    document without one of these licences; the name "permissive" stands for the usual permissive ones, and "unknown"
    keeps documents whose licence is not known. `opt_out`: a file with a repository or path on each line, whose
    documents are dropped. `secrets`: "replace" secrets and personal data, "drop" documents with a secret and replace
    personal data, or "keep" all. `decontaminate`: drop documents that repeat a problem of a benchmark: true for the
    benchmarks whose files are here, or a list of names of benchmarks and of files of problems.
    """

    filters: str | tuple[str, ...] = setting("standard", added_later=True)
    licenses: tuple[str, ...] | None = setting(None, added_later=True)
    opt_out: str | None = setting(None, added_later=True)
    secrets: Literal["replace", "drop", "keep"] = setting("replace", added_later=True)
    decontaminate: bool | tuple[str, ...] = setting(True, added_later=True)

    def check(self, where: str) -> None:
        """Raises ChakuError, which begins with `where`, for a setting that cannot work."""
        try:
            chosen_rules(self.filters)
        except ChakuError as error:
            raise ChakuError(f"{where}.filters: {error}") from None

    def files(self) -> dict[str, Any]:
        """The hashes of the files that the settings name: inputs of the corpus beside the settings."""
        named = self.decontaminate if isinstance(self.decontaminate, tuple) else ()
        paths = [*([self.opt_out] if self.opt_out else []), *(name for name in named if name.endswith(ROW_FILES))]
        return {f"sha256 of {path}": sha256_file(Path(path)) for path in paths if Path(path).is_file()}


class Cleaner:
    """Cleans documents by the rules. Raises ChakuError for an unknown set of filters, or a missing file."""

    def __init__(self, cleaning: Cleaning):
        self.rules = chosen_rules(cleaning.filters)
        self.licenses, self.secrets = cleaning.licenses, cleaning.secrets
        self.decontamination = decontamination(cleaning.decontaminate)
        self.opted_out = read_opt_out(Path(cleaning.opt_out)) if cleaning.opt_out else frozenset()

    def clean(self, raw: Raw) -> Raw:
        """The document as the corpus takes it, or with the `problem` for which it is dropped."""
        if raw.problem:
            return raw
        if self.opted_out and is_opted_out(raw, self.opted_out):
            return replace(raw, problem=OPTED_OUT)
        if self.licenses is not None and not allows(self.licenses, raw.license):
            return replace(raw, problem=OTHER_LICENCE if raw.license else UNKNOWN_LICENCE, detail=raw.license or "")
        problem = reason_to_drop(Facts(raw.text, raw.path, raw.kind, raw.language), self.rules)
        if problem:
            return replace(raw, problem=problem)
        if hit := self.decontamination.find(raw.text, raw.language):
            return replace(raw, problem=REPEATS_PROBLEM, detail=f"{hit.problem}: {hit.rule}")
        return raw if self.secrets == "keep" else self._without_secrets(raw)

    def _without_secrets(self, raw: Raw) -> Raw:
        text, counts = redact(raw.text)
        if not counts:
            return raw
        if self.secrets == "drop" and (kinds := counts.keys() - PERSONAL):
            return replace(raw, problem=HAS_SECRET, detail=", ".join(sorted(kinds)))
        return replace(raw, text=text, replaced=tuple(sorted(counts.items())))


@cache
def cleaner(cleaning: Cleaning) -> Cleaner:
    """The cleaner of a process for these rules."""
    return Cleaner(cleaning)


def read_opt_out(path: Path) -> frozenset[str]:
    """The repositories and paths in an opt-out file, one a line, in small letters; `#` begins a comment.

    Raises ChakuError for a missing file, and for a file without an entry.
    """
    if not path.is_file():
        raise ChakuError(f"the opt-out list {path} does not exist; correct corpus.opt_out")
    entries = opt_out_lines(read_text(path))
    if not entries:
        raise ChakuError(f"the opt-out list {path} is empty; write a repository or path on each line")
    return entries


def opt_out_lines(text: str) -> frozenset[str]:
    """The entries in the text of an opt-out file."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return frozenset(as_entry(line) for line in lines if line)


def is_opted_out(raw: Raw, entries: frozenset[str]) -> bool:
    """Whether the document's path, a folder above it, or its repository is an entry.

    A path is compared with its source's name before it, too: `owner/name` also opts out a source of this name.
    """
    names = [as_entry(raw.repository)] if raw.repository else []
    path = as_entry(raw.path.partition("#")[0])
    for whole in (path, f"{as_entry(raw.source)}/{path}"):
        parts = whole.split("/")
        names += ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    return any(name in entries for name in names)


def as_entry(name: str) -> str:
    """A repository or path as it is compared: `https://github.com/Owner/Name.git` is `owner/name`."""
    name = name.lower().removeprefix("https://").removeprefix("github.com/").removeprefix("git@github.com:")
    return name.strip("/").removesuffix(".git")
