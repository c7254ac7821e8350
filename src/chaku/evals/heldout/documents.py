"""Reads held-out documents for the measures: chosen by hash, so the same for every model."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from pathlib import Path

from chaku.documents import KINDS, Document, read_documents
from chaku.errors import ChakuError
from chaku.files import sha256_file, sha256_json

MAX_DOCUMENTS = 20_000  # documents read; enough to represent a held-out split of any size


def read_heldout(
    corpus: Path, kinds: Collection[str] = KINDS, languages: Collection[str] | None = None
) -> list[Document]:
    """Held-out documents in the order of their hash, a random order. Raises ChakuError when there are none."""
    documents = list(islice(read_documents(corpus, "heldout", kinds, languages), MAX_DOCUMENTS))
    if not documents:
        wanted = ", ".join([*kinds, *(languages or ())]) or "documents"
        raise ChakuError(f"the held-out split of {corpus} has no {wanted}; gather more, or raise heldout_fraction")
    return sorted(documents, key=lambda document: document.sha256)


def heldout_sha256(corpus: Path) -> str:
    """The hash of the held-out files, for the manifest."""
    return sha256_json([sha256_file(path) for path in sorted(corpus.glob("heldout-*.parquet"))])


def pick(*key: object) -> int:
    """A random 64-bit number that depends only on the key."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "big")


def scoring_windows(ids: Sequence[int], context: int) -> list[tuple[list[int], int]]:
    """Cut a long sequence into windows of at most `context` tokens. Every token except the first is scored once.

    Returns pairs (window, number of tokens at its start that are context and not scored). Every window after the first
    starts with `context` // 4 such tokens.
    """
    kept = max(context // 4, 1)
    windows = [(list(ids[:context]), 1)]
    scored = min(context, len(ids))
    while scored < len(ids):
        end = min(scored - kept + context, len(ids))
        windows.append((list(ids[scored - kept : end]), kept))
        scored = end
    return windows


def cut_text(text: str, max_bytes: int) -> str:
    """The longest beginning of a text that takes at most `max_bytes` in UTF-8."""
    return text.encode()[:max_bytes].decode("utf-8", "ignore")


def label(document: Document) -> str:
    """A document's row in tables: the language of code, the kind of prose."""
    return (
        document.language if document.kind == "code" else {"code_prose": "prose about code"}.get(document.kind, "prose")
    )


def by_label(documents: Iterable[Document]) -> dict[str, list[Document]]:
    """label -> documents, in the order given."""
    groups: dict[str, list[Document]] = {}
    for document in documents:
        groups.setdefault(label(document), []).append(document)
    return groups
