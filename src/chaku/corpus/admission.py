"""Decide which documents a corpus takes (every text once, within the caps), and count the kept and the dropped."""

import copy
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from chaku.corpus.reading.sources import OVER_CAP, Raw
from chaku.corpus.seen_hashes import SeenHashes
from chaku.errors import ChakuError

REPEATS_PROBLEM = "repeats a problem of a benchmark"
SAME_TEXT, NO_CAP_LEFT = "same text as another", "over the cap of its source"  # why a document is dropped
NUM_HITS = 10_000  # documents that repeat a benchmark's problem, which contamination.jsonl names
NUM_SAMPLES = 3  # dropped documents that summary.json names for each reason


class Admission:
    """The counts of kept and dropped documents so far, and the decision on the next document.

    `kept` and `dropped` hold [documents, bytes]; `samples` the first dropped documents of each reason; `replaced` the
    [documents, places] in which secrets and personal data were replaced. `record` is told of every document: the
    document, the reason to drop it or None, the SHA-256 of its text, and its bytes. Raises ChakuError for a
    `heldout_fraction` out of range.
    """

    def __init__(
        self,
        heldout_fraction: float,
        max_bytes: dict[str, int],
        source_caps: dict[str, int | None],
        seen: SeenHashes,
    ):
        self.record: Callable[[Raw, str | None, bytes, int], None] = lambda raw, reason, digest, size: None
        if not 0 <= heldout_fraction < 1:
            raise ChakuError(f"heldout_fraction is {heldout_fraction}; it must be at least 0 and below 1")
        self.heldout_below = heldout_fraction * 2**64
        self.max_bytes = max_bytes
        self.source_caps = source_caps
        self.kept: dict[tuple[str, str, str], list[int]] = {}
        self.dropped: dict[tuple[str, str], list[int]] = {}
        self.sizes: Counter[str] = Counter()
        self.source_sizes: Counter[str] = Counter()
        self.replaced: dict[str, list[int]] = {}
        self.hits: list[dict[str, str]] = []
        self.samples: dict[str, list[dict[str, str]]] = {}
        self.seen = seen

    def state(self) -> dict[str, Any]:
        """The counts so far, for JSON; without `seen`, which the shards hold. Later counts do not change it."""
        state = {
            "kept": [[*key, *counts] for key, counts in self.kept.items()],
            "dropped": [[*key, *counts] for key, counts in self.dropped.items()],
            "sizes": dict(self.sizes),
            "source_sizes": dict(self.source_sizes),
            "replaced": self.replaced,
            "samples": self.samples,
            "hits": self.hits,
        }
        return copy.deepcopy(state)

    def restore(self, state: dict[str, Any], seen: Iterable[bytes]) -> None:
        """Continue from a `state`, and from the hashes of the documents that were kept."""
        self.kept = {(kind, language, split): counts for kind, language, split, *counts in state["kept"]}
        self.dropped = {(reason, language): counts for reason, language, *counts in state["dropped"]}
        self.sizes, self.source_sizes = Counter(state["sizes"]), Counter(state["source_sizes"])
        # An earlier version recorded none of these.
        self.samples, self.replaced = state.get("samples", {}), state.get("replaced", {})
        self.hits = state.get("hits", [])
        for digest in seen:
            self.seen.add(digest)

    def full(self) -> frozenset[str]:
        """The kinds and languages that have reached their caps."""
        return frozenset(name for name, cap in self.max_bytes.items() if self.sizes[name] >= cap)

    def admit(self, raw: Raw, digest: bytes, split_key: bytes, size: int) -> str | None:
        """The split of a document, or None when it is dropped.

        `digest`: the SHA-256 of its text, which `seen` has looked up. `split_key`: the hash that decides the split.
        `size`: its bytes in UTF-8.
        """
        problem = raw.problem
        source_cap = self.source_caps.get(raw.source)
        if problem is None and digest in self.seen:
            problem = SAME_TEXT
        elif problem is None and not self.full().isdisjoint((raw.kind, raw.language)):
            problem = OVER_CAP
        elif problem is None and source_cap is not None and self.source_sizes[raw.source] >= source_cap:
            problem = NO_CAP_LEFT
        self.record(raw, problem, digest, size)
        if problem is not None:
            _count(self.dropped, (problem, raw.language), size)
            sample = {"path": raw.path, "source": raw.source, "detail": raw.detail}
            samples = self.samples.setdefault(problem, [])
            if len(samples) < NUM_SAMPLES:
                samples.append(sample)
            if problem == REPEATS_PROBLEM and len(self.hits) < NUM_HITS:
                self.hits.append(sample)
            return None
        self.seen.add(digest)
        for what, places in raw.replaced:
            _count(self.replaced, what, places)
        self.sizes[raw.kind] += size
        self.sizes[raw.language] += size
        self.source_sizes[raw.source] += size
        split = "heldout" if int.from_bytes(split_key[:8], "big") < self.heldout_below else "train"
        _count(self.kept, (raw.kind, raw.language, split), size)
        return split

    def drop_later(self, reason: str, kind: str, language: str, split: str, documents: int, size: int) -> None:
        """Count kept documents as dropped after all."""
        entry = self.kept[kind, language, split]
        entry[0] -= documents
        entry[1] -= size
        if not entry[0]:
            del self.kept[kind, language, split]
        _count(self.dropped, (reason, language), size, documents)

    def drops(self) -> list[tuple[tuple[str, str], list[int]]]:
        return sorted(self.dropped.items(), key=lambda item: (-item[1][0], item[0]))


def _count(table: dict[Any, list[int]], key: Any, size: int, documents: int = 1) -> None:
    entry = table.setdefault(key, [0, 0])
    entry[0] += documents
    entry[1] += size
