"""Perplexity by position: whether a model uses context beyond its training length."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from chaku.console import progress
from chaku.errors import ChakuError
from chaku.evals.heldout.documents import read_heldout
from chaku.inference.engine import Engine

FIRST_EDGE = 128  # tokens; earlier positions are one bin, as their details say little


def evaluate(
    engine: Engine,
    corpus: Path,
    *,
    training_length: int,
    max_length: int | None = None,
    num_documents: int = 8,
) -> dict[str, Any]:
    """Perplexity of held-out code, in bins of positions whose sizes double, up to `max_length` tokens (default:
    4 * `training_length`).

    Every document fills every bin, so that the bins differ only by position. Takes code files of at least `max_length`
    tokens; if there are too few, joins files of one language, in the order of their paths.
    """
    length = max_length or 4 * training_length
    sequences = long_sequences(engine, corpus, length, num_documents)
    losses = np.zeros(length)
    with progress("perplexity by position", len(sequences) * length, "tokens") as bar:
        for ids in sequences:
            [scores] = engine.score([ids])
            losses -= scores.astype(np.float64)
            bar.advance(length)
    losses /= len(sequences)
    edges = [0, *_doubling_edges(length)]
    means = [float(losses[start:end].mean()) for start, end in pairwise(edges)]
    return {
        "edges": edges,
        "perplexity": [math.exp(mean) for mean in means],
        "training_length": training_length,
        "documents": len(sequences),
    }


def long_sequences(engine: Engine, corpus: Path, length: int, number: int) -> list[list[int]]:
    """Up to `number` sequences of BOS and `length` tokens. Raises ChakuError when the held-out code is too short."""
    tokenizer = engine.tokenizer
    documents = read_heldout(corpus, kinds=("code",))
    whole: list[list[int]] = []
    by_language: dict[str, list[tuple[str, str]]] = {}
    for document in documents:
        # A token has at least one byte, so a text with fewer bytes than `length` is too short.
        if len(document.text.encode()) >= length and len(whole) < number:
            ids = tokenizer.encode(document.text)
            if len(ids) >= length:
                whole.append(ids[:length])
                continue
        by_language.setdefault(document.language, []).append((document.path, document.text))
    joined: list[list[int]] = []
    for _, files in sorted(by_language.items(), key=lambda item: -sum(len(text) for _, text in item[1])):
        ids = []
        for _, text in sorted(files):
            if len(whole) + len(joined) >= number:
                break
            ids += tokenizer.encode(text if text.endswith("\n") else text + "\n")
            if len(ids) >= length:
                joined.append(ids[:length])
                ids = []
    if not whole and not joined:
        raise ChakuError(
            f"the held-out code of {corpus} does not fill {length:,} tokens in any language; "
            "gather more, raise heldout_fraction, or measure a shorter context"
        )
    return [[tokenizer.bos_id, *ids] for ids in whole + joined]


def _doubling_edges(length: int) -> list[int]:
    edges = [length]
    while edges[0] >= 2 * FIRST_EDGE:
        edges.insert(0, edges[0] // 2)
    return edges
