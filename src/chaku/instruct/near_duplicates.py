"""Finds near-duplicate questions: MinHash proposes pairs, and the Jaccard similarity of word triples decides."""

import re

import numpy as np

from chaku.corpus.near_duplicates.minhash import at_least_as_similar, bands_of, gram_sets, joined, signatures_of

NGRAM = 3  # words: questions are short
# A signature of 128 numbers. Of the pairs with a similarity of 0.38, half share a band; with a similarity of 0.6, 99%;
# with a similarity of 0.7, all but 2 in 10,000.
BANDS, ROWS = 32, 4
MIN_NGRAMS = 3  # a text with fewer triples is a duplicate only if it is the same text: its few triples prove little


class NearDuplicates:
    """A set of texts without near duplicates. `threshold`: near duplicates have at least this Jaccard similarity."""

    def __init__(self, threshold: float = 0.7):
        self.threshold = threshold
        self._ngrams: dict[str, np.ndarray] = {}
        self._whole: dict[str, str] = {}
        self._buckets: dict[tuple[int, int], list[str]] = {}  # by the number and the value of a band

    def add(self, key: str, text: str) -> str | None:
        """The key of an earlier text that `text` nearly repeats. Otherwise add `text` to the set, and return None."""
        words = " ".join(re.findall(r"\w+", text.lower()))
        if (found := self._whole.get(words)) is not None:
            return found
        sets = gram_sets([words.encode()], NGRAM)
        bands: list[tuple[int, int]] = []
        if len(sets[0]) >= MIN_NGRAMS:
            bands = [*enumerate(bands_of(signatures_of(joined(sets), BANDS * ROWS), BANDS, ROWS)[0].tolist())]
            for other in dict.fromkeys(key for band in bands for key in self._buckets.get(band, ())):
                # A shared band is a hint, not a proof. The sets are small enough to be compared exactly.
                if at_least_as_similar(self._ngrams[other], sets[0], self.threshold):
                    return other
        self._whole[words] = key
        self._ngrams[key] = sets[0]
        for band in bands:
            self._buckets.setdefault(band, []).append(key)
        return None
