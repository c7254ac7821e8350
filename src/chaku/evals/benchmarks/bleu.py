"""Smoothed BLEU-4 of a text against a reference, as CodeXGLUE measures docstrings."""

import math
import re
from collections import Counter

ORDER = 4
# CodeXGLUE splits words and signs; its NIST normalisation then makes every underscore a token.
TOKEN = re.compile(r"_|[^\W_]+|[^\s\w]")


def bleu(candidate: str, reference: str) -> float:
    """BLEU, from 0 to 1, of lower-case tokens, with add-one smoothing of n-grams longer than one (Lin and Och 2004).

    The brevity penalty is CodeXGLUE's: exp(min(0, 1 - (r + 1) / (c + 1))) for r tokens in the reference and c in the
    candidate.
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
    """The lower-case words, signs and underscores of a text."""
    return TOKEN.findall(text.lower())


def _ngrams(words: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))
