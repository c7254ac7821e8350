"""One question back: which of several columns has the value that is meant, or which query; and what the user chose."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chaku.sql.answer.language import language_of
from chaku.sql.execute.lexer import tokenize
from chaku.sql.glossary.query import MetricQuery, Unclear
from chaku.sql.schema.definition import literal
from chaku.sql.schema.values import Match
from chaku.sql.schema.words import QUESTION_WORDS, words_of

_ASKED = {
    "en": ("Do you mean {}?", " or "),
    "de": ("Meinen Sie {}?", " oder "),
    "fr": ("Voulez-vous dire {} ?", " ou "),
    "es": ("¿Quiere decir {}?", " o "),
    "zh": ("您是指 {}？", " 还是 "),
}
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "erste": 1, "zweite": 2, "dritte": 3, "vierte": 4}
_ORDINALS |= {"第一": 1, "第二": 2, "第三": 3, "第四": 4, "former": 1, "last": -1, "latter": -1, "letzte": -1}


@dataclass(frozen=True)
class Clarify:
    """A step in the place of an answer: a question back. The user answers with a choice's number, from 1, or words."""

    question: str
    choices: tuple[str, ...]


def ask_back(question: str, choices: Sequence[str]) -> Clarify:
    """The question back, in the language of the user's question."""
    asked, joined = _ASKED[language_of(question)]
    return Clarify(asked.format(joined.join(choices)), tuple(choices))


def choices_of(unclear: Unclear, say: Callable[[MetricQuery], str]) -> list[str]:
    """What the user can choose. Where whole queries differ: what `say` says of each and not of all."""
    if all(reading.words for reading in unclear.readings):
        return [reading.words for reading in unclear.readings]
    texts = [say(reading.query).split("; ") for reading in unclear.readings]
    shared = set.intersection(*(set(parts) for parts in texts))
    return ["; ".join(part for part in parts if part not in shared) for parts in texts]


def chosen(text: str, choices: Sequence[str]) -> int | None:
    """The place of the choice that a text means: by its number, or by words that no other choice has."""
    plain = re.sub(r"[\s.!,。！，#)(]+", " ", text.casefold()).strip()
    number = re.fullmatch(r"(?:number |nummer |nr |no |option |choice )?(\d{1,2})", plain)
    at = int(number[1]) if number else None
    for word, place in _ORDINALS.items():
        if re.fullmatch(rf"(?:the |das |die |der )?{word}(?:[nrs]|个|一个| one)?", plain):
            at = place if place > 0 else len(choices)
    if at is not None:
        return at - 1 if 0 < at <= len(choices) else None
    exact = [place for place, choice in enumerate(choices) if choice.casefold() == text.strip().casefold()]
    said = set(words_of(text)) - QUESTION_WORDS
    fitting = exact or [place for place, choice in enumerate(choices) if said and said <= set(words_of(choice))]
    return fitting[0] if len(fitting) == 1 else None


def is_number(text: str) -> bool:
    """Whether a text is nothing but a number, so that it can only be meant as a choice."""
    return re.fullmatch(r"\W*\d{1,2}\W*", text) is not None


def unused_choice(sql: str, meant: Sequence[Match]) -> str:
    """The first column that the user chose and a query does not name; "" if there is none, or no query."""
    named = {token.text.strip('"`[]').lower() for token in tokenize(sql) if token.kind in ("word", "quoted")}
    for match in meant if sql else ():
        if not {match.table.lower().rsplit(".", 1)[-1], match.column.lower()} <= named:
            return f"{match.table}.{match.column}"
    return ""


def said_value(match: Match) -> str:
    """A value in its column, as a choice."""
    return f"{match.table}.{match.column} = {literal(match.value)}"
