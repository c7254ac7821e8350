"""The settings of self-instruct in a recipe: its table [instruct]."""

from dataclasses import dataclass

from chaku.errors import ChakuError
from chaku.settings import setting


@dataclass(frozen=True)
class InstructConfig:
    """A recipe's [instruct]. The model of `stage` writes; stages with a set of the type `instruct` train on its text.

    `exercises`: rehearse on this number of synthetic questions; `full` adds the arms that need more runs. Without
    `exercises`, the questions come from the file `questions`, or the model writes them, and the kept triples become
    sft.jsonl, preferences.jsonl and corrections.jsonl; `corrections` and `evolve` are --corrections and --rounds of the
    commands. Raises ChakuError for a table with both `exercises` and `questions`.
    """

    stage: str
    exercises: int | None = setting(None, at_least=1)
    full: bool = True
    questions: str | None = None
    max_questions: int = setting(1000, at_least=1)
    max_tokens: int | None = setting(None, at_least=1)
    num_solutions: int = setting(10, at_least=1)
    corrections: int = setting(0, at_least=0, added_later=True)
    evolve: int = setting(0, at_least=0, added_later=True)

    def __post_init__(self) -> None:
        if self.exercises is not None and self.questions is not None:
            raise ChakuError("[instruct] has both `exercises` and `questions`; remove one of them")
