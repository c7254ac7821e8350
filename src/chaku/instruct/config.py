"""The settings of self-instruct in a recipe."""

from dataclasses import dataclass

from chaku.errors import ChakuError
from chaku.settings import setting


@dataclass(frozen=True)
class InstructConfig:
    """A recipe's [instruct]. `stage` writes; sets of the type `instruct` learn from what it writes.

    `exercises`: rehearse with so many questions of the synthetic family; `full` with every arm. Without it, questions
    are those of a file, or the stage's own, and sft.jsonl and preferences.jsonl are what is kept.
    """

    stage: str
    exercises: int | None = setting(None, at_least=1)
    full: bool = True
    questions: str | None = None
    max_questions: int = setting(1000, at_least=1)
    max_tokens: int | None = setting(None, at_least=1)
    num_solutions: int = setting(10, at_least=1)

    def __post_init__(self) -> None:
        if self.exercises is not None and self.questions is not None:
            raise ChakuError("instruct needs `exercises` or `questions`, not both")
