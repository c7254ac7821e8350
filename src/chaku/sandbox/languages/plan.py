"""A plan: how the worker lays out, compiles and runs one job. And functions that several languages share."""

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
    """The worker's instructions for a job. Without a `command`, the warm Python runs the source.

    With a `candidate` command, that command starts the untrusted process, and `command` starts the judge. Descriptor 3
    connects the two. The judge reads the file `tests`, which is deleted before the candidate starts, from descriptor 4.
    `files`: the text of each file; names may include a subfolder. `mark`: the name of the file that the tests create at
    their end; in the texts of `files`, the worker replaces it by the full path.
    `virtual`: limit the address space; else limit the data, for runtimes that reserve far more than they use.
    """

    judged: bool = False
    files: dict[str, str] = field(default_factory=dict)
    compile: tuple[Command, ...] = ()
    command: Command = ()
    candidate: Command = ()
    tests: str = ""
    mark: str = ""
    environment: dict[str, str] = field(default_factory=lambda: dict(ENVIRONMENT))
    processes: int = 512  # limit of processes and threads
    virtual: bool = True
    scratch_mb: int = 64
    compile_seconds: int = COMPILE_SECONDS
    needs_proc: bool = False

    def fields(self) -> dict[str, Any]:
        """The plan in plain values, which cross to the worker."""
        return asdict(self)


def large(needs_proc: bool = False) -> dict[str, Any]:
    """Limits of runtimes that start many threads and reserve address space."""
    return {"virtual": False, "scratch_mb": 256, "needs_proc": needs_proc}


def close(source: str, tests: str) -> tuple[str, str]:
    """Move the braces at the beginning of the tests, which close the candidate's function, to the candidate."""
    braces = re.match(r"\s*(?:\}\s*)*", tests)
    assert braces is not None
    return f"{source}\n{braces[0]}\n", tests[braces.end() :]


def expect_main(count: int, what: str) -> None:
    if count != 1:
        raise ChakuError(f"the tests have no `{what}`, which shows that they reach their end")


@cache
def harness(*names: str) -> str:
    """Our scripts, joined. Scripts are passed as an argument, so that the sandbox need not show their files."""
    return "\n".join((HARNESS / name).read_text(encoding="utf-8") for name in names)
