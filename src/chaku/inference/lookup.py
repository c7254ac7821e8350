"""Guesses the next tokens of a text by looking its last tokens up in the text itself.

Code that is rewritten repeats most of its prompt. The model checks all guesses in one step, so right guesses save steps
and wrong guesses cost little; the text is the same with and without them.
"""

from collections.abc import Sequence

LENGTH = 3  # tokens that must occur earlier in the text
MOST = 16  # guesses of one step


class Lookup:
    """The guesses of one text. `ids`: the text, which its owner makes longer."""

    def __init__(self, ids: Sequence[int]):
        self._ids = ids
        self._ends: dict[tuple[int, ...], int] = {}  # where an occurrence of LENGTH tokens ends, the last one
        self._num_read = LENGTH

    def guess(self, most: int) -> list[int]:
        """At most `most` tokens that followed the text's last tokens earlier."""
        ids = self._ids
        while self._num_read < len(ids):  # an occurrence that ends before the text's end
            self._ends[tuple(ids[self._num_read - LENGTH : self._num_read])] = self._num_read
            self._num_read += 1
        at = self._ends.get(tuple(ids[-LENGTH:]))
        if at is None:
            return []
        length = LENGTH  # of what the two places have in common: the longer, the more it is worth to guess
        while length < LENGTH + MOST and length < at and ids[at - length - 1] == ids[-length - 1]:
            length += 1
        return list(ids[at : at + min(most, length - LENGTH + 1)])
