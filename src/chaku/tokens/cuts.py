"""Choose where infilling cuts a document: at random characters, at the ends of lines, or around syntax nodes."""

from collections.abc import Iterator, Mapping

from chaku.tokens.config import Cuts
from chaku.tokens.syntax_nodes import find_nodes

# The share of middles that are one node; the others are runs of neighbouring nodes. Our choice: arXiv 2506.00204
# (AST-FIM) trains on both, and its share was not at hand.
ONE_NODE = 0.5


def draw_kind(shares: Mapping[Cuts, float], number: float) -> Cuts:
    """The kind of cuts that a uniform `number` in [0, 1) falls on."""
    for kind, share in shares.items():
        if number < share:
            return kind
        number -= share
    return next(reversed(list(shares)))


def random_cuts(length: int, first: float, second: float) -> tuple[int, int]:
    """Two places among `length` characters, uniform and independent (Code Llama paper, 2.3)."""
    low, high = sorted((int(first * (length + 1)), int(second * (length + 1))))
    return low, high


def line_cuts(text: str, first: float, second: float) -> tuple[int, int]:
    """Two beginnings of lines, or the end, uniform and independent: the middle is whole lines."""
    places = [0]
    while (found := text.find("\n", places[-1])) >= 0:
        places.append(found + 1)
    if places[-1] != len(text):
        places.append(len(text))
    low, high = sorted((int(first * len(places)), int(second * len(places))))
    return places[low], places[high]


def syntax_cuts(text: str, language: str, draws: Iterator[float]) -> tuple[int, int] | None:
    """The place of one syntax node, or of neighbouring nodes; None for a text that cannot be parsed without errors.

    As AST-FIM (arXiv 2506.00204), written from memory, since only its abstract was at hand. One node: drawn with a
    probability in proportion to its size. Neighbouring nodes: the smallest node around two random places is found, and
    those of its children that overlap most with the span between the places. Takes three numbers from `draws`.
    """
    choice, first, second = next(draws), next(draws), next(draws)
    nodes = find_nodes(text, language)
    if nodes is None:
        return None
    if choice < ONE_NODE:
        return nodes.by_size(first)
    low, high = random_cuts(len(text), first, second)
    return nodes.nearest_run(low, high)
