"""The syntax nodes of a program, as places in its text, through tree-sitter."""

from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np

from chaku.errors import ChakuError

# The grammar of a language, where its name differs from the language's name in small letters.
_RENAMED = {"C++": "cpp", "C#": "csharp", "Shell": "bash", "Objective-C": "objc", "Common Lisp": "commonlisp"}
_RENAMED |= {
    "Emacs Lisp": "elisp",
    "F#": "fsharp",
    "Makefile": "make",
    "Docker": "dockerfile",
    "Protocol Buffer": "proto",
}
# Prose and plain data have grammars too, but their parts are no better middles than lines.
_LEFT_OUT = frozenset(("csv", "tsv", "psv", "markdown", "rst", "test", "query", "comment", "printf", "org"))


class Nodes:
    """The syntax nodes of a text that was parsed without errors. Places are counted in characters."""

    def __init__(self, text: str, tree: Any):
        self._data = text.encode()
        self._is_ascii = len(self._data) == len(text)
        self._text = text
        self._root = tree.root_node
        self._places = _named_nodes(tree)

    def by_size(self, number: float) -> tuple[int, int] | None:
        """The node that a uniform `number` in [0, 1) falls on when nodes are laid end to end; None without nodes."""
        ends = np.cumsum(self._places[:, 1] - self._places[:, 0])
        if not len(ends):
            return None
        chosen = int(np.searchsorted(ends, number * int(ends[-1]), side="right"))
        start, end = self._places[chosen].tolist()
        return self._characters(start), self._characters(end)

    def nearest_run(self, low: int, high: int) -> tuple[int, int] | None:
        """Neighbouring children of the smallest node around characters `low` to `high` with the largest overlap.

        The overlap is the length of what both spans hold, divided by the length of what either holds. A node without
        children is the run itself.
        """
        start, end = self._bytes(low), self._bytes(high)
        node = self._root.descendant_for_byte_range(start, end)
        children = node.children if node is not None else []
        if not children:
            spans = [] if node is None or node == self._root else [(node.start_byte, node.end_byte)]
        else:
            starts = _around([child.start_byte for child in children], start)
            ends = _around([child.end_byte for child in children], end)
            spans = [(one, two) for one in starts for two in ends if one < two]
        if not spans:
            return None
        one, two = max(spans, key=lambda span: (_overlap(span, (start, end)), span[0] - span[1], span))
        return self._characters(one), self._characters(two)

    def _characters(self, place: int) -> int:
        return place if self._is_ascii else len(self._data[:place].decode())

    def _bytes(self, place: int) -> int:
        return place if self._is_ascii else len(self._text[:place].encode())


def find_nodes(text: str, language: str) -> Nodes | None:
    """The nodes of a text; None for a language without grammar, an empty text, or a text with an error of syntax.

    Raises ChakuError when the package of the grammars is not installed.
    """
    parser = _parser(language)
    if parser is None or not text:
        return None
    tree = parser.parse(text.encode())
    return None if tree.root_node.has_error else Nodes(text, tree)


def grammar_package_problem() -> str:
    """What is wrong with the package of the grammars; "" for a sound one."""
    install = "pip install 'chaku[syntax]'"
    try:
        import tree_sitter_language_pack  # noqa: F401
    except ImportError:
        return f'infilling.cuts = "syntax" needs the grammars of tree-sitter: {install}'
    found = version("tree-sitter-language-pack")
    if int(found.partition(".")[0]) >= 1:
        return (
            f"tree-sitter-language-pack {found} downloads each grammar when it is first used; chaku takes the versions "
            f"below 1, which bring their grammars: {install}"
        )
    return ""


@cache
def _parser(language: str) -> Any:
    if problem := grammar_package_problem():
        raise ChakuError(problem)
    from tree_sitter_language_pack import get_parser

    name = _RENAMED.get(language, language.lower())
    if name in _LEFT_OUT:
        return None
    try:
        return get_parser(name)
    except LookupError:
        return None


def _named_nodes(tree: Any) -> np.ndarray:
    """The byte places of the named nodes that are not empty, without the root, in the order of the text."""
    places: list[tuple[int, int]] = []
    cursor = tree.walk()
    going = cursor.goto_first_child()
    while going:
        node = cursor.node
        if node.is_named and node.end_byte > node.start_byte:
            places.append((node.start_byte, node.end_byte))
        if cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                going = False
                break
    return np.array(places, dtype=np.int64).reshape(-1, 2)


def _around(places: list[int], wanted: int) -> list[int]:
    """The last place up to `wanted`, and the first after it: no other place gives a run with a larger overlap."""
    at = int(np.searchsorted(places, wanted, side="right"))
    return places[max(at - 1, 0) : at + 1]


def _overlap(one: tuple[int, int], two: tuple[int, int]) -> float:
    common = min(one[1], two[1]) - max(one[0], two[0])
    return max(common, 0) / (max(one[1], two[1]) - min(one[0], two[0]))
