"""How one job is laid out, compiled and run, in plain values for the worker; and what several runners share."""

import re
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.sandbox.environment import ENVIRONMENT

COMPILE_SECONDS = 60  # of CPU time
HARNESS = Path(__file__).parent / "harness"

Command = tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What the worker does for a job. Without a `command`, the warm Python runs the source.

    With a `candidate`, that command is the untrusted process, and `command` the judge's, which reads the file
    `tests` (removed before) from descriptor 4; both have the other on descriptor 3.
    `files` may lie in a folder of the job's own. `mark`: the name of the file that the tests make at their end; in the
    texts of `files` it becomes the whole path.
    `virtual`: memory is limited as address space, else as data, for runtimes that reserve far more than they use.
    """

    judged: bool = False
    files: dict[str, str] = field(default_factory=dict)
    compile: tuple[Command, ...] = ()
    command: Command = ()
    candidate: Command = ()
    tests: str = ""
    mark: str = ""
    environment: dict[str, str] = field(default_factory=lambda: dict(ENVIRONMENT))
    processes: int = 512  # and threads
    virtual: bool = True
    scratch_mb: int = 64
    compile_seconds: int = COMPILE_SECONDS
    needs_proc: bool = False

    def fields(self) -> dict[str, Any]:
        """For the worker: plain values."""
        return asdict(self)


def large(needs_proc: bool = False) -> dict[str, Any]:
    """Limits of runtimes that start many threads and reserve address space."""
    return {"virtual": False, "scratch_mb": 256, "needs_proc": needs_proc}


def close(source: str, tests: str) -> tuple[str, str]:
    """The braces with which tests begin end the candidate's function: they go with it."""
    braces = re.match(r"\s*(?:\}\s*)*", tests)
    assert braces is not None
    return f"{source}\n{braces[0]}\n", tests[braces.end() :]


def expect_main(count: int, what: str) -> None:
    if count != 1:
        raise ChakuError(f"the tests have no `{what}`, which shows that they reach their end")


@cache
def harness(*names: str) -> str:
    """Programs of ours, one after the other; scripts are handed over as an argument, so that no file has to be seen."""
    return "\n".join((HARNESS / name).read_text(encoding="utf-8") for name in names)
