"""The reward for infilling: the middle equals the hidden text, or its tests pass; little if the file only parses."""

import ast
import warnings

from chaku.reinforcement.programs import ProgramReward
from chaku.reinforcement.rewards import Judged, Waiting
from chaku.reinforcement.tasks import Task

PARSES = 0.1


class InfillReward:
    """1 if the middle equals the row's `middle` up to white space at its ends, or if the row's tests pass.

    PARSES for a Python file that parses, and whose syntax tree the middle changes: an empty middle or a comment gets
    nothing. The fields of a row: `prefix`, `suffix`, `middle`, and perhaps `tests`, `entry_point`, `language`.
    """

    def __init__(self, timeout: float = 3.0):
        self._programs = ProgramReward("tests", timeout)

    def problem(self, task: Task) -> str:
        fields = task.fields
        if not isinstance(fields.get("middle"), str) or not fields["middle"].strip():
            return 'the row has no "middle"'
        return self._programs.problem(task) if fields.get("tests") else ""

    def submit(self, task: Task, text: str) -> Waiting:
        fields = task.fields
        if text.strip() == fields["middle"].strip():
            return lambda: Judged(1.0, True)
        whole = f"{fields['prefix']}{text}{fields['suffix']}"
        parses = _adds_syntax(fields["prefix"], text, fields["suffix"])
        if not fields.get("tests"):
            reason = "differs from the hidden text" if parses else "the file does not parse, or the middle adds nothing"
            return lambda: Judged(PARSES * parses, False, reason)
        waiting = self._programs.submit_program(task, whole)

        def wait() -> Judged:
            judged = waiting()
            return judged if judged.solved else Judged(PARSES * parses, False, judged.reason, judged.shown)

        return wait

    def close(self) -> None:
        self._programs.close()


def _adds_syntax(prefix: str, middle: str, suffix: str) -> bool:
    """Whether the Python file parses with the middle, to another syntax tree than without the middle or with `pass`."""
    tree = _tree(f"{prefix}{middle}{suffix}")
    return tree is not None and tree not in (_tree(f"{prefix}{suffix}"), _tree(f"{prefix}pass{suffix}"))


def _tree(text: str) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.dump(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
