"""Hears whether a text goes on with the turn before: "and by month?", "only Germany", "no, I meant 2023".

English, German and Chinese. `hear` takes such words off, so that rules can read the rest.
"""

import re
from dataclasses import dataclass
from typing import Literal

Mark = Literal["goes on", "corrects", "adds", "compares", "narrows", "all", "why"]

# Words at the beginning of a text, by what they say about it. The first pattern that fits counts.
_OPENING: tuple[tuple[Mark, str], ...] = (
    ("corrects", r"(?:no|nope|wrong|sorry|nein|falsch)\s*[,.!;:–]+|(?:no|nein)(?= (?:i|only|just|by|ich|nur)\b)"),
    ("corrects", r"(?:i|we) (?:mean|meant|wanted)|ich (?:meine|meinte|wollte)|actually|rather|eigentlich|lieber"),
    ("corrects", r"(?:change|make|switch|set) (?:it|that|this)(?: to)?|ändere (?:es|das)(?: auf)?"),
    ("corrects", r"不对|不是|不[,，]|错了|应该是|我是说|我的意思是|我指的是|我说的是|我想?要的是|改成|换成"),
    ("adds", r"also|additionally|in addition|plus|auch|zusätzlich|außerdem|另外|同时|还|也|再"),
    ("adds", r"(?:please )?(?:break|split|divide) (?:it|that|this|those|these|them)(?: down| up)?"),
    ("compares", r"(?:compare|vergleiche?) (?:it |that |this |them |es |das )?(?:to|with|mit)"),
    ("compares", r"(?:compared|in comparison) (?:to|with)|verglichen mit|im vergleich (?:zu[mr]?|mit)|vs|versus"),
    ("compares", r"(?:跟|和|与)(?=.*(?:相比|比较|对比))|相比于?|对比"),
    ("narrows", r"(?:(?:show|give|list|take|keep|zeige?|nimm) (?:me |us |mir )?)?(?:only|just|nur)|只看?|仅看?"),
    ("all", r"all(?: of (?:them|those))?(?=\W*$)|alle(?=\W*$)|全部(?=\W*$)|所有(?=\W*$)"),
    ("why", r"why|how come|warum|wieso|weshalb|为什么|为何|怎么(?=这么|那么)"),
    ("goes on", r"(?:what|how) (?:about|is it|was it|does it look)|wie (?:ist|war|sieht) (?:es|das)|was ist mit"),
    ("goes on", r"(?:show |give me |zeig )?(?:the |das )?(?:same(?: thing)?|gleiche|selbe|dasselbe)|同样的?|一样的?"),
    ("goes on", r"and|but|then|ok|okay|now|again|und|aber|dann|jetzt|nun|nochmal|那么?|然后|现在"),
)  # fmt: skip
_CLOSING: tuple[tuple[Mark, str], ...] = (
    ("adds", "too|as well|also|auch"),
    ("narrows", "only|alone|nur"),
    ("goes on", "instead|then|again|stattdessen|dann|呢|怎么样|如何"),
    ("compares", "相比|比较|对比"),
)
_INSIDE: tuple[tuple[Mark, str], ...] = (("narrows", "only|just|nur"), ("adds", "also|auch"), ("goes on", "instead"))
_SIGNS = " \t\r\n,.!?;:，。？！；：、–-"
# What stands for the result before. "This" and "that" also begin "this month" and clauses.
_REFERS = re.compile(
    r"\b(?:those|these|them|davon|diesen)\b|\b(?:that|this|it|das|dies|es)\b(?=\s+(?:by|in|for|per|down|from|with|nach|für|pro|"
    r"je)\b|\W*$)|它们?|他们|她们|其中|这些|那些",
    re.IGNORECASE,
)  # fmt: skip
_QUESTION = re.compile(
    r"\b(?:how|what|which|who|whose|whom|where|when|show|list|give|find|display|tell|select|"
    r"wie|welche[nrsm]?|was|wer|wo|wann|zeige?|liste|nenne|gib|gibt)\b|多少|几|哪|谁|什么|列出|显示|查询|统计|找出",
    re.IGNORECASE,
)  # fmt: skip
_INSIDE_A_QUESTION = re.compile(
    r"(?:by|per|in|for|from|since|until|before|after|between|with|without|except|excluding|of|at|on|over|under|above|"
    r"below|sorted|ordered|ascending|descending|(?:the )?(?:top|first|last|lowest|highest|largest|smallest) \d+|"
    r"(?:the )?(?:year|quarter|month|day) (?:before|earlier)|nach|pro|je|für|aus|seit|vor|bis|zwischen|mit|ohne|"
    r"außer|sortiert|absteigend|aufsteigend)\b|按|每|前\s?\d|除|不含|不包括",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Heard:
    """A text, and its `rest` without the words that tie it to the turn before, whose kinds are the `marks`."""

    text: str
    rest: str
    marks: frozenset[Mark]

    @property
    def refers_at(self) -> int:
        """Where in the rest a word stands for the result before: "which of those"; -1 if there is none."""
        found = _REFERS.search(self.rest)
        return found.start() if found else -1

    @property
    def asks(self) -> bool:
        """Whether the rest has a word that begins a question of its own."""
        return _QUESTION.search(self.rest) is not None

    @property
    def begins_inside(self) -> bool:
        """Whether the rest begins as the middle of a question does: "by month", "in Peru", "top 5"."""
        return _INSIDE_A_QUESTION.match(self.rest) is not None

    @property
    def plain(self) -> str:
        """The rest without the words that stand for the result before."""
        return " ".join(_REFERS.sub(" ", self.rest).split())


def hear(text: str) -> Heard:
    """Take the words off a text that tie it to the turn before."""
    rest, marks = text.strip(_SIGNS), set[Mark]()
    while found := _first(_OPENING, rest):
        marks.add(found[0])
        rest = rest[found[1].end() :].strip(_SIGNS)
    while found := _first(_CLOSING, rest, at_end=True):
        marks.add(found[0])
        rest = rest[: found[1].start()].strip(_SIGNS)
    for mark, words in _INSIDE if marks else ():
        rest, count = re.subn(rf"\b(?:{words})\b ?", "", rest, flags=re.IGNORECASE)
        marks |= {mark} if count else set()
    return Heard(text, rest, frozenset(marks))


def _first(
    patterns: tuple[tuple[Mark, str], ...], text: str, *, at_end: bool = False
) -> tuple[Mark, re.Match[str]] | None:
    """The first pattern that fits the beginning of a text, or its end, as whole words. Chinese has no spaces."""
    for mark, words in patterns:
        pattern = rf"(?<![a-z0-9])(?:{words})$" if at_end else rf"(?:{words})(?:(?<![a-z])|(?![\w-]))"
        search = re.search if at_end else re.match
        if found := search(pattern, text, re.IGNORECASE):
            return mark, found
    return None
