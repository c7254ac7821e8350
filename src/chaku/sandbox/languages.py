"""Languages: how a job's files are laid out, compiled and run, and what shows that its tests reached their end."""

import functools
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.sandbox.verdict import Job, Status

COMPILE_SECONDS = 60  # of CPU time


@dataclass(frozen=True)
class Plan:
    """What the worker does for a job. Without a `command`, the warm Python runs the source."""

    judged: bool
    files: dict[str, str] = field(default_factory=dict)
    compile: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    processes: int = 64
    virtual: bool = True
    scratch_mb: int = 64
    compile_seconds: int = COMPILE_SECONDS
    mark: str = ""

    def fields(self) -> dict[str, Any]:
        """For the worker: plain values."""
        plain = asdict(self)
        return {**plain, "compile": list(self.compile), "command": list(self.command)}

    def without_mark(self, stdout: str) -> str:
        """What the program printed, less our mark."""
        return stdout.replace(self.mark, "") if self.mark else stdout

    def compile_failure(self, code: int, printed: str) -> tuple[Status, str]:
        return "compile_error", printed.strip()[:500]

    def outcome(self, code: int, stdout: str, stderr: str, memory_mb: int) -> tuple[Status, str]:
        """The verdict of a program that ended by itself with this exit status."""
        return ("passed", "") if code == 0 else ("failed", f"exit status {code}")


def plan(job: Job) -> Plan:
    """How to run a job. Raises ChakuError for a language that there is no runner for, or whose toolchain is missing."""
    if job.language == "python":
        return Plan(judged=bool(job.tests))
    raise ChakuError(f"the sandbox has no runner for {job.language!r}; it runs python")


def why_not(language: str) -> str | None:
    """None where programs in the language can be run here."""
    return None if language == "python" else f"the sandbox has no runner for {language!r}"


@functools.cache
def prefixes() -> tuple[Path, ...]:
    """Folders of toolchains that lie outside the system's own."""
    return ()
