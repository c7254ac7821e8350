"""Starts, ends and waits for the processes of process 1, and measures their CPU time and memory."""

import fcntl
import os
import resource
import signal
import time
from collections.abc import Callable
from typing import Any

from chaku.sandbox.guest import kernel
from chaku.sandbox.guest.wire import in_words

END_SECONDS = 1.0  # time for a candidate to end after it hung up


def start(
    command: list[str],
    job: dict[str, Any],
    confine: Callable[[], None],
    given: dict[int, int] | None = None,
    *,
    apart: bool = False,
) -> int:
    """Start a program with its standard descriptors and the descriptors `given` (the program's number: ours).

    `apart`: in a new process namespace with its own /proc, so that it sees no other process. Needs CAP_SYS_ADMIN.
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
    """As process 1 of a namespace: wait for the program, and exit with its status. Never returns.

    A program that is process 1 would ignore its own signals, SIGABRT among them. SIGTERM ends the program: if this
    process were killed instead, the program's CPU time would be lost.
    """
    kernel.traceable(False)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(program, signal.SIGKILL))
    os.closerange(0, 1024)
    code = watch(program)["code"]
    os._exit(code if code >= 0 else 128 - code)


def end(child: int, seconds: float, *, apart: bool) -> Any:
    """End a process, and return its resource usage. `apart`: whether it was started apart."""
    if apart:
        os.kill(child, signal.SIGTERM)
        if (died := wait(child, seconds)) is not None:
            return died[1]
    os.kill(child, signal.SIGKILL)
    return os.wait4(child, 0)[2]


def exit_code(status: int, *, apart: bool) -> int:
    """The exit status of a process, or minus its signal, from the status of wait(2). `apart`: see `_attend`."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if apart and code > 128 else code


def watch(child: int) -> dict[str, Any]:
    """Wait for a process; as process 1, also reap the orphans that it leaves behind."""
    code = usage = None
    while code is None:
        pid, status, used = os.wait4(-1, 0)
        if pid == child:
            code, usage = os.waitstatus_to_exitcode(status), used
    return {"status": "", "reason": "", "code": code, "peak_kb": usage.ru_maxrss if usage else 0}


def spent() -> float:
    """CPU seconds of all descendants that have ended, including processes that a program did not wait for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def wait(child: int, seconds: float, *, apart: bool = False) -> Any:
    """(exit status, resource usage) of a process that ends within `seconds`, else None. `apart`: see `start`."""
    until = time.monotonic() + seconds
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            return exit_code(status, apart=apart), usage
        if time.monotonic() > until:
            return None
        time.sleep(0.002)
