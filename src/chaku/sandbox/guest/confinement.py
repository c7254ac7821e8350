"""Confines every process of a job before it runs untrusted code."""

import os
import signal
from typing import Any

from chaku.sandbox.guest import kernel

FILE_MB = 32  # the most that a program may write to one file, its outputs included
COMPILE_MEMORY_MB = 2048
COMPILE_FILE_MB = 256
JUDGE_EXTRA_SECONDS = 5  # CPU time for the tests themselves


class Confinement:
    """`files`: descriptors of standard input, output and error, and of the compiler's output."""

    def __init__(self, job: dict[str, Any], settings: dict[str, Any], files: list[int]):
        self.job = job
        self.isolated = settings["isolated"]
        self.user = settings["user"] if self.isolated else None
        self.processes = job["processes"] if settings["count_processes"] else 0
        self.files = files

    def set_the_scene(self) -> None:
        """Give process 1 an empty /tmp and /dev/shm and a new /proc; without isolation, only its own process group."""
        if self.isolated:
            kernel.mount_scratch(self.job["scratch_mb"] * kernel.MEGABYTE)
            if not kernel.mount_proc() and self.job["needs_proc"]:
                raise OSError(
                    "the language's runtime needs /proc, which cannot be mounted here: run chaku as another user"
                )
            os.chdir(self.job["folder"])
        else:
            os.setsid()

    def program(self, keep: int = -1) -> None:
        """Become a process in which a program may run."""
        self._standard_files(self.files[0], self.files[1], self.files[2])
        job = self.job
        self._confine({keep}, job["cpu_seconds"], job["memory_mb"], FILE_MB, job["virtual"])
        kernel.traceable(True)  # else it cannot read its own /proc/self

    def compiler(self) -> None:
        """Become a process in which a compiler may run."""
        self._standard_files(os.open("/dev/null", os.O_RDONLY), self.files[3], self.files[3])
        memory = max(self.job["memory_mb"], COMPILE_MEMORY_MB)
        self._confine(set(), self.job["compile_seconds"], memory, COMPILE_FILE_MB, virtual=False)

    def judge(self, keep: set[int]) -> None:
        """Become a process in which tests may run."""
        null = os.open("/dev/null", os.O_RDWR)
        self._standard_files(null, null, null)
        seconds = self.job["cpu_seconds"] + JUDGE_EXTRA_SECONDS
        self._confine(keep, seconds, self.job["memory_mb"], FILE_MB, virtual=True, may_signal=True)

    def foreign_judge(self, keep: set[int]) -> None:
        """Become a process in which tests in another language may run, as another user where the sandbox has users."""
        null = os.open("/dev/null", os.O_RDWR)
        self._standard_files(null, null, self.files[3])
        if self.user is not None:
            self.user += 1
        seconds = self.job["cpu_seconds"] + JUDGE_EXTRA_SECONDS
        self._confine(keep, seconds, self.job["memory_mb"], FILE_MB, self.job["virtual"])

    def _standard_files(self, *descriptors: int) -> None:
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number, inheritable=True)

    def _confine(
        self, keep: set[int], seconds: int, memory_mb: int, file_mb: int, virtual: bool, may_signal: bool = False
    ) -> None:
        start = 3
        for descriptor in sorted(keep - {-1}):
            os.closerange(start, descriptor)
            start = descriptor + 1
        os.closerange(start, 1024)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it; as an exit signal, it shows an output limit
        if self.isolated:
            kernel.drop_rights(self.user)
        kernel.limit_resources(seconds, memory_mb, file_mb, self.processes, virtual)
        if self.isolated:
            kernel.restrict_files(may_signal)
            kernel.refuse_system_calls()
