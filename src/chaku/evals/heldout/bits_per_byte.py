"""Held-out bits per byte by language: how well a model predicts unseen text, compared with xz."""

import lzma
import math
from pathlib import Path
from typing import Any

from chaku.console import progress
from chaku.evals.heldout.documents import by_label, cut_text, read_heldout, scoring_windows
from chaku.inference.engine import Engine

DOCUMENTS_PER_LANGUAGE = 8  # a document gives at most one eighth of its language's bytes
MIN_BYTES = 2_000  # languages with less text are left out: their numbers would be noise
WINDOWS_AT_ONCE = 32


def evaluate(
    engine: Engine, corpus: Path, *, max_bytes: int = 60_000, max_languages: int = 10, context: int | None = None
) -> dict[str, Any]:
    """Score the `max_languages` languages with the most text, and up to `max_bytes` of each language.

    A document costs the bits of its tokens after BOS, including the final EOS. A document longer than `context` tokens
    (default: the model's) is scored in windows; every window after the first starts with a quarter of known context. xz
    compresses the same bytes with preset 9, a language's documents as one file. Unlike the model, xz sees the earlier
    documents.
    """
    tokenizer = engine.tokenizer
    context = context or engine.model.config.max_position_embeddings
    chosen: dict[str, list[str]] = {}
    for name, documents in by_label(read_heldout(corpus)).items():
        texts = _up_to([document.text for document in documents], max_bytes)
        if _size(texts) >= MIN_BYTES:
            chosen[name] = texts
    # Ties are broken by name, so that every model is measured on the same languages.
    names = sorted(chosen, key=lambda name: (-_size(chosen[name]), name))[:max_languages]
    windows: list[tuple[str, list[int], int]] = []
    for name in names:
        for text in chosen[name]:
            ids = [tokenizer.bos_id, *tokenizer.encode(text), tokenizer.eos_id]
            windows += [(name, window, known) for window, known in scoring_windows(ids, context)]
    bits = dict.fromkeys(names, 0.0)
    windows.sort(key=lambda window: len(window[1]))
    with progress("held-out bits per byte", sum(len(window) for _, window, _ in windows), "tokens") as bar:
        for start in range(0, len(windows), WINDOWS_AT_ONCE):
            group = windows[start : start + WINDOWS_AT_ONCE]
            for (name, _, known), scores in zip(group, engine.score([ids for _, ids, _ in group]), strict=True):
                bits[name] -= float(scores[known - 1 :].sum(dtype="float64")) / math.log(2)
            bar.advance(sum(len(window) for _, window, _ in group))
    rows = {
        name: {
            "bits_per_byte": bits[name] / _size(chosen[name]),
            "xz_bits_per_byte": 8 * len(lzma.compress("".join(chosen[name]).encode(), preset=9)) / _size(chosen[name]),
            "bytes": _size(chosen[name]),
            "documents": len(chosen[name]),
        }
        for name in names
    }
    total = sum(row["bytes"] for row in rows.values())
    overall = {
        key: sum(row[key] * row["bytes"] for row in rows.values()) / max(total, 1)
        for key in ("bits_per_byte", "xz_bits_per_byte")
    }
    counts = {"bytes": total, "documents": sum(row["documents"] for row in rows.values())}
    return {"by_language": rows, "overall": {**overall, **counts}}


def _up_to(texts: list[str], max_bytes: int) -> list[str]:
    """The first texts, up to `max_bytes` in all; each is cut to max_bytes / DOCUMENTS_PER_LANGUAGE."""
    taken: list[str] = []
    left = max_bytes
    for text in texts:
        if left <= 0:
            break
        part = cut_text(text, min(left, max(max_bytes // DOCUMENTS_PER_LANGUAGE, 1)))
        if part:
            taken.append(part)
            left -= len(part.encode())
    return taken


def _size(texts: list[str]) -> int:
    return sum(len(text.encode()) for text in texts)
