"""The tokens of questions, names and synonyms: words without case and accents, single Chinese characters, signs."""

import re
import unicodedata

from chaku.sql.schema.words import CJK, stem

TOKEN = re.compile(r"\d{4}-\d{2}(?:-\d{2})?(?![\w-])|\d+(?:[.,]\d+)*(?!\w)|[^\W_]+|[^\w\s]")
BENIGN = frozenset(".?!:;'\"_-’‘“”。？！：；「」´`")  # signs that change no meaning between words
COMMAS = frozenset(",，、")


def tokens_of(text: str) -> list[str]:
    """The tokens of a text. Commas and signs that may change a meaning (<, %, +) are tokens; "." and "'" are not."""
    spaced = text.lower()
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text.casefold())
        plain = "".join(sign for sign in decomposed if not unicodedata.combining(sign))
        spaced = CJK.sub(lambda found: f" {found[0]} ", unicodedata.normalize("NFKC", plain))
    spaced = re.sub(r"(?<![\w])-(?=\d)", " − ", spaced)  # a minus sign is not a hyphen
    found = ("," if token in COMMAS else token for token in TOKEN.findall(spaced.replace("_", " ")))
    return [token for token in found if token not in BENIGN]


def stems(tokens: list[str]) -> str:
    """Tokens as a key that a plural and its singular share."""
    return " ".join(map(stem, tokens))


def value_key(tokens: list[str]) -> str:
    """Tokens as a key of `ValueIndex`, which writes Chinese without spaces."""
    return re.sub(rf"(?<={CJK.pattern}) (?={CJK.pattern})", "", " ".join(tokens))
