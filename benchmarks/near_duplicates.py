"""Near-duplicates: recall and precision against all pairs compared, and the speed beside datasketch and rensa.

Files of code, a fifth of them with an edited copy. Every pair is compared exactly by its 5-grams; that is the truth.
Then the corpus step's own search, and the signatures of the peers that are installed, on one core, in turn.

    python benchmarks/near_duplicates.py --out near-duplicates.json
"""

import argparse
import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from chaku.console import progress, say, show_table
from chaku.corpus.compiled import WORTH_LOADING, count_read
from chaku.corpus.near_duplicates.gram_store import BANDS, ROWS, GramStore, write_unit
from chaku.corpus.near_duplicates.groups import find_groups
from chaku.corpus.near_duplicates.minhash import (
    NGRAM,
    NUM_PERMUTATIONS,
    Grams,
    at_least_as_similar,
    bands_of,
    gram_sets,
    joined,
    signatures_of,
)
from chaku.corpus.reading.sources import machine_sources, source_files
from chaku.files import write_json

THRESHOLD = 0.7
SHAPES = ((25, 10), (32, 8), (42, 6), (50, 5))  # bands, rows


def main() -> None:
    """Read, compare all pairs, search, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    count_read(WORTH_LOADING)  # numba from the first text on
    texts = read(options.files)
    grams = joined(gram_sets(texts))
    similar = all_similar(grams)
    results: dict[str, Any] = {"files": len(texts), "similar_pairs": len(similar)}
    results["search"] = quality(grams, similar)
    signatures = signatures_of(grams)
    results["bands"] = {f"{bands} x {rows}": proposed(signatures, similar, bands, rows) for bands, rows in SHAPES}
    results["mb_per_cpu_second"] = speeds(texts, options.rounds)
    show_table("Found", ["", "recall", "precision"], [["groups", *results["search"].values()]])
    rows: list[list[object]] = [[shape, *found.values()] for shape, found in results["bands"].items()]
    show_table("Pairs that share a band", ["bands x rows", "of the similar pairs", "similar"], rows)
    show_table("Signatures", ["", "MB per CPU second"], [[*row] for row in results["mb_per_cpu_second"].items()])
    if options.out:
        write_json(options.out, results)


def read(num_files: int) -> list[bytes]:
    """Python files of this machine; a fifth of them are edited copies of others, lines left out at up to 8%."""
    draws = random.Random(0)
    found = (path for source in machine_sources()[:2] for path in source_files(source))
    paths = sorted(path for path in found if isinstance(path, Path) and path.suffix == ".py")
    draws.shuffle(paths)
    texts: list[bytes] = []
    for path in paths:
        if len(texts) >= num_files:
            break
        if 1000 <= path.stat().st_size <= 50_000:
            text = path.read_bytes()
            texts.append(text)
            if draws.random() < 0.25:
                share = draws.uniform(0, 0.08)
                texts.append(b"\n".join(line for line in text.split(b"\n") if draws.random() >= share))
    return texts


def all_similar(grams: Grams) -> set[tuple[int, int]]:
    """All pairs with a Jaccard similarity of at least the threshold, by comparing every pair."""
    sizes = np.diff(grams.offsets)
    order = np.argsort(sizes, kind="stable")
    found = set()
    with progress("all pairs", len(order), "files") as bar:
        for place, first in enumerate(order.tolist()):
            if sizes[first]:
                for second in order[place + 1 :].tolist():
                    if sizes[first] < THRESHOLD * sizes[second]:
                        break  # all that follow are larger still
                    if at_least_as_similar(grams[first], grams[second], THRESHOLD):
                        found.add((min(first, second), max(first, second)))
            bar.advance(1)
    return found


def quality(grams: Grams, similar: set[tuple[int, int]]) -> dict[str, float]:
    """Of the similar pairs, the share in one group; of the pairs in one group, the share in one group of the truth."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        about = pa.table({"path": [str(number) for number in range(len(grams))]})
        write_unit(directory, 0, grams, about, np.zeros(len(grams), np.uint64))
        groups = find_groups(GramStore(directory, 1), directory / "groups.npy", THRESHOLD, np.zeros(len(grams), bool))
        roots = [groups.root(document) for document in range(len(grams))]
    true_roots = list(range(len(grams)))

    def root(document: int) -> int:
        while true_roots[document] != document:
            document = true_roots[document]
        return document

    for first, second in similar:
        true_roots[root(second)] = root(first)
    members: dict[int, list[int]] = {}
    for document, group in enumerate(roots):
        members.setdefault(group, []).append(document)
    together = [(a, b) for group in members.values() for a in group for b in group if a < b]
    return {
        "recall": sum(roots[a] == roots[b] for a, b in similar) / len(similar),
        "precision": sum(root(a) == root(b) for a, b in together) / len(together),
    }


def proposed(signatures: np.ndarray, similar: set[tuple[int, int]], bands: int, rows: int) -> dict[str, float]:
    """Of the similar pairs, the share that shares a band; of the pairs that share a band, the share that is similar."""
    keys = bands_of(signatures, bands, rows)
    pairs: set[tuple[int, int]] = set()
    for band in range(bands):
        buckets: dict[int, list[int]] = {}
        for document, key in enumerate(keys[:, band].tolist()):
            buckets.setdefault(key, []).append(document)
        for bucket in buckets.values():
            if len(bucket) < 100:
                pairs |= {(a, b) for a in bucket for b in bucket if a < b}
    return {"recall": len(pairs & similar) / len(similar), "similar": len(pairs & similar) / max(1, len(pairs))}


def speeds(texts: list[bytes], rounds: int) -> dict[str, float]:
    """Megabytes of text per CPU second: medians of rounds in turn."""
    ways: dict[str, tuple[Callable[[list[bytes]], object], int]] = {
        "chaku": (lambda part: bands_of(signatures_of(joined(gram_sets(part))), BANDS, ROWS), len(texts))
    }
    try:
        from datasketch import MinHash

        ways["datasketch"] = (lambda part: MinHash.bulk(map(_shingles, part), num_perm=NUM_PERMUTATIONS), 200)
    except ImportError:
        say("datasketch is not installed: not measured")
    try:
        from rensa import RMinHash

        def rensa(part: list[bytes]) -> None:
            for text in part:
                made = RMinHash(num_perm=NUM_PERMUTATIONS, seed=0)
                made.update([shingle.decode() for shingle in _shingles(text)])

        ways["rensa"] = (rensa, 400)
    except ImportError:
        say("rensa is not installed: not measured")
    measured: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, (make, count) in ways.items():
            part = texts[:count]
            started = time.process_time()
            make(part)
            measured[way].append(sum(map(len, part)) / 1e6 / (time.process_time() - started))
    return {way: statistics.median(values) for way, values in measured.items()}


def _shingles(text: bytes) -> list[bytes]:
    words = re.findall(rb"[\w\x80-\xff]+", text)
    return [b" ".join(words[at : at + NGRAM]) for at in range(len(words) - NGRAM + 1)]


if __name__ == "__main__":
    main()
