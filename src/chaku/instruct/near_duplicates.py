"""Questions that say nearly the same: MinHash finds pairs, their word triples decide."""

import hashlib
import re

import numpy as np

NGRAM = 3  # words: questions are short
BANDS, ROWS = 32, 4  # of a 128-number signature: half of the pairs at 0.38 meet, 99% at 0.6, all but 2 in 10,000 at 0.7
MIN_NGRAMS = 3  # shorter texts are compared whole only: their few triples would make them all alike


class NearDuplicates:
    """Texts, each the first of its kind. `threshold`: the Jaccard similarity of word triples that makes two alike."""

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
        """The key of an earlier text that this is alike; None when it is new, and then it is one of them."""
        words = tuple(re.findall(r"\w+", text.lower()))
        if (found := self._whole.get(words)) is not None:
            return found
        ngrams = {_hash(words[at : at + NGRAM]) for at in range(len(words) - NGRAM + 1)}
        bands: list[tuple[int, bytes]] = []
        if len(ngrams) >= MIN_NGRAMS:
            bands = self._bands(ngrams)
            for other in dict.fromkeys(key for band in bands for key in self._buckets.get(band, ())):
                # A shared band is a hint, not a proof: the sets are small, so they are compared.
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
