"""The parts of a recipe that can be left out, and the requirements of a recipe."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Part:
    """A part of a recipe that can be left out while the rest runs."""

    kind: Literal["recipe", "benchmark", "stage", "source", "instruct"]
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" if self.name else f"[{self.kind}]"


@dataclass(frozen=True)
class Requirement:
    """Something that a recipe needs. `needed_by`: the parts that need it; empty when the whole recipe needs it.

    `how_to_get`: what the user can do when it is missing.
    """

    name: str
    needed_by: tuple[Part, ...]
    is_there: bool
    how_to_get: str = ""
