"""Normalises the words of names, values and questions, to compare them without case, accents, signs and plurals."""

import re
import unicodedata
from collections import Counter
from functools import lru_cache

CJK = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af]")
_SMALL_WORDS = "a an and by de for from in is of on or the to with how many what which who where when"
SMALL_WORDS = frozenset(_SMALL_WORDS.split())
_SIGNS = re.compile(r"[\W_]+")


def normalize(text: str) -> str:
    """Lower-case words without accents; full-width letters become plain letters, and signs become spaces."""
    if text.isascii():
        return " ".join(_SIGNS.sub(" ", text.lower()).split())
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(sign for sign in decomposed if not unicodedata.combining(sign))
    return " ".join(_SIGNS.sub(" ", unicodedata.normalize("NFKC", plain)).split())


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The singular of an English plural: a rough rule that is good enough to compare names."""
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("s", "")):
        if word.endswith(ending) and not word.endswith("ss") and len(word) - len(ending) >= 2:
            return word[: len(word) - len(ending)] + instead
    return word


def spaced(name: str) -> str:
    """A name with spaces between its words, if capitals begin them: "categoryName" becomes "category Name"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)


@lru_cache(maxsize=1 << 16)  # a schema's names repeat with every question; do not change the counter
def words_of(text: str) -> Counter[str]:
    """The stems of the words of a question, a name or a comment; for Chinese, pairs of characters."""
    words: Counter[str] = Counter()
    for word in normalize(spaced(text)).split():
        if CJK.search(word):
            words.update(word[at : at + 2] for at in range(max(len(word) - 1, 1)))
        elif word not in SMALL_WORDS:
            words[stem(word)] += 1
    return words


# Words in questions that ask for a kind of query, not for data.
_QUESTION_WORDS = """about after all also any are as at average be before below best between both but can could count
did do does during each every few fewest find first get give had has have highest i it its largest last least less list
longest low lowest many maximum mean me minimum more most much name new no not number old one only order other our out
over per please same select sell show shortest smallest so some sort sum tell than that their them then there these they
this those top total under up was we were whose will with without worth would year you"""
QUESTION_WORDS = frozenset(map(stem, _QUESTION_WORDS.split()))
