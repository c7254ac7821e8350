"""Process 1 of a job that is one program: writes its files, compiles, runs, watches, reports."""

import os
import resource
import secrets
import signal
import sys
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaku.sandbox.inside.confinement import Confinement
from chaku.sandbox.inside.wire import in_words


def main(job: dict[str, Any], walls: Confinement) -> dict[str, Any]:
    """Compile where the language asks for it, then run. A compiler's failure is the report of the whole."""
    for name, text in job["files"].items():
        path = Path(job["folder"], name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
    if walls.user is not None and job["files"]:
        for each in (Path(job["folder"]), *Path(job["folder"]).rglob("*")):
            os.chown(each, walls.user, walls.user)
    if job["compile"]:
        result = _command(job["compile"], job, walls.compiler)
        if result["code"] != 0:
            return {**result, "status": "compile_error"}
    if job["command"]:
        return _command(job["command"], job, walls.program)
    return _python(job, walls)


def _command(command: list[str], job: dict[str, Any], confine: Callable[[], None]) -> dict[str, Any]:
    child = os.fork()
    if child == 0:
        try:
            os.chdir(job["folder"])
            confine()
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it
            os.execve(command[0], command, job["environment"])
        except BaseException as error:
            os.write(2, f"cannot run {command[0]}: {in_words(error)}\n".encode())
        finally:
            os._exit(127)
    return _watch(child)


def _python(job: dict[str, Any], walls: Confinement) -> dict[str, Any]:
    """A program in Python needs no new interpreter: the warm one forks.

    That it ran to its end is its own word, with a nonce: without tests there is nobody else who could know.
    """
    nonce = secrets.token_hex(16)
    report_from, report_to = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(job["folder"])
            walls.program(keep=report_to)
            _run(job["source"], nonce, report_to)
        finally:
            os._exit(70)
    os.close(report_to)
    result = _watch(child)
    os.set_blocking(report_from, False)
    try:
        report = os.read(report_from, 4096).decode("utf-8", "replace")
    except BlockingIOError:  # something of the program's still holds the other end
        report = ""
    given, _, rest = report.partition("\n")
    if secrets.compare_digest(given.encode(), nonce.encode()):
        status, _, reason = rest.partition("\n")
        return {**result, "status": status, "reason": reason}
    return {**result, "status": "gone" if result["code"] == 0 else "", "reason": ""}


def _run(source: str, nonce: str, report_to: int) -> None:
    # Kept under names of our own: the program may replace functions of os and sys.
    write, leave, flushes = os.write, os._exit, (sys.stdout.flush, sys.stderr.flush)
    sys.argv[:] = ["program.py"]
    module = types.ModuleType("__main__")
    module.__dict__.update(__builtins__=__builtins__, __file__="program.py")
    sys.modules["__main__"] = module
    status, reason, code = "passed", "", 0
    try:
        exec(compile(source, "program.py", "exec"), module.__dict__)
    except MemoryError:
        status, reason, code = "out_of_memory", "MemoryError", 1
    except SystemExit as error:
        left = error.code if isinstance(error.code, int) else int(error.code is not None)
        status, reason, code = "failed", f"left before its end (exit status {left & 255})", left & 255
    except BaseException as error:
        status, reason, code = "failed", in_words(error), 1
        _print_traceback(error)
    for flush in flushes:
        try:
            flush()
        except BaseException:
            code = code or 120  # as Python itself ends when its output cannot be written
    write(report_to, f"{nonce}\n{status}\n{reason}".encode("utf-8", "replace"))
    leave(code)


def _print_traceback(error: BaseException) -> None:
    """Without the exception's own methods and within bounds, as the program may have filled its message."""
    try:
        traceback.print_tb(error.__traceback__.tb_next if error.__traceback__ else None, limit=-20)
        print(in_words(error), file=sys.stderr)
    except BaseException:
        return


def _watch(child: int) -> dict[str, Any]:
    """Wait for a process, as process 1 also for what it leaves behind."""
    code = usage = None
    while code is None:
        pid, status, each = os.wait4(-1, 0)
        if pid == child:
            code, usage = os.waitstatus_to_exitcode(status), each
    everything = resource.getrusage(resource.RUSAGE_CHILDREN)  # what the program started and did not wait for, too
    return {
        "status": "",
        "reason": "",
        "code": code,
        "cpu": everything.ru_utime + everything.ru_stime,
        "peak_kb": usage.ru_maxrss if usage else 0,
    }
