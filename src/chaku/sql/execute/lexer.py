"""SQL text as tokens, for the few rules that are about text and not about structure."""

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
    """A piece of the text. `quoted` is a name in double quotes, backticks or brackets; "..." may mean a string."""

    kind: Kind
    text: str


def tokenize(sql: str) -> list[Token]:
    """All of the text as tokens: joined, they are the text again. Never fails; what is left open ends with the text."""
    return [Token(match.lastgroup, match.group()) for match in _TOKEN.finditer(sql)]  # type: ignore[arg-type]


def is_word(token: Token, *words: str) -> bool:
    return token.kind == "word" and token.text.lower() in words
