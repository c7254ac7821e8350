"""What an asker knows besides a question: the turns before it, and what its words mean."""

from collections.abc import Sequence
from dataclasses import dataclass

from chaku.sql.schema.values import Match


@dataclass(frozen=True)
class Context:
    """`before`: a text for the prompt about earlier turns, without cells if the model may see none.

    `meant`: the values that the user chose for words of the question.
    """

    before: str = ""
    meant: tuple[Match, ...] = ()

    def narrowed(self, matches: Sequence[Match]) -> list[Match]:
        """The matches without other meanings of words whose meaning the user chose."""
        chosen = {match.phrase for match in self.meant}
        return [*self.meant, *(match for match in matches if match.phrase not in chosen)]
