"""Processes that process 1 starts, and what they used."""

import fcntl
import os
import resource
import signal
import time
from collections.abc import Callable
from typing import Any

from chaku.sandbox.guest import kernel
from chaku.sandbox.guest.wire import in_words

END_SECONDS = 1.0  # that a candidate which hung up has to end


def start(
    command: list[str],
    job: dict[str, Any],
    confine: Callable[[], None],
    given: dict[int, int] | None = None,
    *,
    apart: bool = False,
) -> int:
    """Start a program; it finds the descriptors `given` (ours by its own) beside the standard ones.

    `apart`: in a process namespace of its own, with its own /proc: it sees no other process. Needs CAP_SYS_ADMIN.
    """
    child = kernel.fork_into_namespaces() if apart else os.fork()
    if child == 0:
        try:
            if apart:
                kernel.mount_proc()
                if (program := os.fork()) != 0:
                    _attend(program)
            os.chdir(job["folder"])
            confine()
            high = {number: fcntl.fcntl(ours, fcntl.F_DUPFD, 64) for number, ours in (given or {}).items()}
            for number, ours in high.items():
                os.dup2(ours, number, inheritable=True)
            os.closerange(3 + len(high), 1024)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it
            os.execve(command[0], command, job["environment"])
        except BaseException as error:
            os.write(2, f"cannot run {command[0]}: {in_words(error)}\n".encode())
        finally:
            os._exit(127)
    return child


def _attend(program: int) -> None:
    """As process 1 of a namespace: wait for the program, and end as it ended. Never returns.

    (A program that is process 1 itself would not feel its own signals, SIGABRT among them.) SIGTERM ends the program:
    if this process was killed, nobody would know what time the program took.
    """
    kernel.traceable(False)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(program, signal.SIGKILL))
    os.closerange(0, 1024)
    code = watch(program)["code"]
    os._exit(code if code >= 0 else 128 - code)


def end(child: int, seconds: float, *, apart: bool) -> Any:
    """End a process, started `apart` or not; its usage."""
    if apart:
        os.kill(child, signal.SIGTERM)
        if (died := wait(child, seconds)) is not None:
            return died[1]
    os.kill(child, signal.SIGKILL)
    return os.wait4(child, 0)[2]


def exit_code(status: int, *, apart: bool) -> int:
    """The exit status of a process, or minus its signal, from what `wait` gives."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if apart and code > 128 else code


def watch(child: int) -> dict[str, Any]:
    """Wait for a process, as process 1 also for what it leaves behind."""
    code = usage = None
    while code is None:
        pid, status, each = os.wait4(-1, 0)
        if pid == child:
            code, usage = os.waitstatus_to_exitcode(status), each
    return {"status": "", "reason": "", "code": code, "peak_kb": usage.ru_maxrss if usage else 0}


def spent() -> float:
    """CPU seconds of all that was started and has ended, what a program did not wait for included."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def wait(child: int, seconds: float, *, apart: bool = False) -> Any:
    """(exit status, usage) of a process, started `apart` or not, that ends within so many seconds, else None."""
    until = time.monotonic() + seconds
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            return exit_code(status, apart=apart), usage
        if time.monotonic() > until:
            return None
        time.sleep(0.002)
