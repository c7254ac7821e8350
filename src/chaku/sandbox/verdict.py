"""What is run, and how it went."""

from dataclasses import dataclass
from typing import Literal

Status = Literal[
    "passed", "failed", "timed_out", "out_of_memory", "output_limit", "crashed", "compile_error", "sandbox_error"
]


@dataclass(frozen=True)
class Job:
    """What to run. Without `tests`: a program that passes when it runs to its end with exit status 0.

    With `tests`: the source is a candidate, and trusted tests judge it.
    """

    source: str
    language: str = "python"
    tests: tuple[str, ...] = ()
    prelude: str = ""
    stdin: str = ""
    keep_output: int = 64 * 1024
    stop_at_failure: bool = True


@dataclass(frozen=True)
class Verdict:
    """`reason` is empty for a pass."""

    status: Status
    reason: str
    exit_status: int | None
    cpu_seconds: float
    wall_seconds: float
    peak_memory_mb: float
    stdout: str
    stderr: str
    stdout_cut: bool = False
    stderr_cut: bool = False
    tests: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.status == "passed"
