"""Finds near-duplicate questions: MinHash proposes pairs, and the Jaccard similarity of word triples decides."""

import hashlib
import re

import numpy as np

NGRAM = 3  # words: questions are short
# A signature of 128 numbers. Of the pairs with a similarity of 0.38, half share a band; with a similarity of 0.6, 99%;
# with a similarity of 0.7, all but 2 in 10,000.
BANDS, ROWS = 32, 4
MIN_NGRAMS = 3  # a text with fewer triples is a duplicate only if it is the same text: its few triples prove little


class NearDuplicates:
    """A set of texts without near duplicates. `threshold`: near duplicates have at least this Jaccard similarity."""

    def __init__(self, threshold: float = 0.7):
        self.threshold = threshold
        draws = np.random.Generator(np.random.Philox(key=[0, 0]))
        # Multiply, add, take the high half, all modulo 2**64: Dietzfelbinger's universal family.
        self._a = draws.integers(0, 1 << 63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        self._b = draws.integers(0, 1 << 63, BANDS * ROWS, dtype=np.uint64)
        self._ngrams: dict[str, set[int]] = {}
        self._whole: dict[tuple[str, ...], str] = {}
        self._buckets: dict[tuple[int, bytes], list[str]] = {}

    def add(self, key: str, text: str) -> str | None:
        """The key of an earlier text that `text` nearly repeats. Otherwise add `text` to the set, and return None."""
        words = tuple(re.findall(r"\w+", text.lower()))
        if (found := self._whole.get(words)) is not None:
            return found
        ngrams = {_hash(words[at : at + NGRAM]) for at in range(len(words) - NGRAM + 1)}
        bands: list[tuple[int, bytes]] = []
        if len(ngrams) >= MIN_NGRAMS:
            bands = self._bands(ngrams)
            for other in dict.fromkeys(key for band in bands for key in self._buckets.get(band, ())):
                # A shared band is a hint, not a proof. The sets are small enough to be compared exactly.
                both = len(ngrams & self._ngrams[other])
                if both >= self.threshold * (len(ngrams) + len(self._ngrams[other]) - both):
                    return other
        self._whole[words] = key
        self._ngrams[key] = ngrams
        for band in bands:
            self._buckets.setdefault(band, []).append(key)
        return None

    def _bands(self, ngrams: set[int]) -> list[tuple[int, bytes]]:
        values = np.fromiter(ngrams, dtype=np.uint64)[:, None]
        signature = ((values * self._a + self._b) >> np.uint64(32)).min(axis=0)  # (BANDS * ROWS,)
        return [(band, signature[band * ROWS : (band + 1) * ROWS].tobytes()) for band in range(BANDS)]


def _hash(words: tuple[str, ...]) -> int:
    return int.from_bytes(hashlib.blake2b("\0".join(words).encode(), digest_size=8).digest(), "little")
