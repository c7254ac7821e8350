"""Smoothed BLEU-4 of one text against another, as CodeXGLUE measures docstrings."""

import math
import re
from collections import Counter

ORDER = 4
# CodeXGLUE splits words from signs, and then (its NIST normalisation) the underscore from both.
TOKEN = re.compile(r"_|[^\W_]+|[^\s\w]")


def bleu(candidate: str, reference: str) -> float:
    """From 0 to 1: lower-case tokens; add-one smoothing of n-grams longer than one (Lin and Och 2004).

    The brevity penalty is CodeXGLUE's: 1 - (reference + 1) / (candidate + 1) in the exponent, with lengths in tokens.
    """
    ours, theirs = tokens(candidate), tokens(reference)
    logarithms = 0.0
    for n in range(1, ORDER + 1):
        found = _ngrams(ours, n)
        num_right = (found & _ngrams(theirs, n)).total()
        smoothing = int(n > 1)
        if num_right + smoothing == 0:
            return 0.0
        logarithms += math.log((num_right + smoothing) / (found.total() + smoothing))
    brevity = min(0.0, 1 - (len(theirs) + 1) / (len(ours) + 1))
    return math.exp(logarithms / ORDER + brevity)


def tokens(text: str) -> list[str]:
    """The tokens that are counted."""
    return TOKEN.findall(text.lower())


def _ngrams(words: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))
