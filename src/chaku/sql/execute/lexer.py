"""Splits SQL text into tokens, for the few rules about text instead of structure."""

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["space", "comment", "string", "quoted", "number", "word", "operator"]

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
  | (?P<string>'(?:[^']|'')*(?:'|\Z))
  | (?P<quoted>"(?:[^"]|"")*(?:"|\Z)|`(?:[^`]|``)*(?:`|\Z)|\[[^\]]*(?:\]|\Z))
  | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)
  | (?P<word>[^\W\d][\w$]*)
  | (?P<operator><=|>=|<>|!=|==|\|\||<<|>>|.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text. The kind "quoted" is a name in quotes, backticks or brackets; "..." may mean a string."""

    kind: Kind
    text: str


def tokenize(sql: str) -> list[Token]:
    """Split the text into tokens; joined, they are the text again. Never fails: an open quote ends with the text."""
    return [Token(match.lastgroup, match.group()) for match in _TOKEN.finditer(sql)]  # type: ignore[arg-type]


def is_word(token: Token, *words: str) -> bool:
    return token.kind == "word" and token.text.lower() in words
