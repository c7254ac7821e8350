"""Finds the names that a wrong name may mean, for messages and corrections."""

from collections.abc import Iterable
from difflib import SequenceMatcher

from chaku.sql.schema.words import normalize, stem

NEAR = 0.6  # the least likeness (0 to 1) of a name that a message suggests
OFFERED = 3  # suggested names in a message


def likeness(one: str, other: str) -> float:
    """The similarity of two names, ignoring case, signs and plurals: 0 to 1."""
    one, other = (" ".join(map(stem, normalize(name).split())) for name in (one, other))
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def nearest(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """At most OFFERED of `names` that are similar to `name`, the most similar first."""
    scored = sorted(
        ((likeness(name, candidate), candidate) for candidate in set(names)), key=lambda pair: (-pair[0], pair[1])
    )
    return tuple(candidate for score, candidate in scored[:OFFERED] if score >= NEAR)


def is_same(one: str, other: str) -> bool:
    """Whether two names differ only in capitals, signs and plurals."""
    return _letters(one) == _letters(other)


def _letters(name: str) -> str:
    return "".join(map(stem, normalize(name).split()))


def offer(near: tuple[str, ...], names: list[str]) -> str:
    """The end of a message about a wrong name: the nearest names, or else the first of all names."""
    if near:
        return f"; the nearest {'is' if len(near) == 1 else 'are'} {', '.join(near)}"
    listed = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"; there is {listed}" if names else ""
