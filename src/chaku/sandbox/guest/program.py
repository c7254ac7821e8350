"""Process 1 of a job that is one program: writes its files, compiles, runs, watches, reports."""

import atexit
import errno
import os
import secrets
import sys
import traceback
from pathlib import Path
from typing import Any

from chaku.sandbox.guest import pair
from chaku.sandbox.guest.confinement import Confinement
from chaku.sandbox.guest.processes import spent, start, watch
from chaku.sandbox.guest.source import FILE, make_module
from chaku.sandbox.guest.wire import in_words

COMPILED = b"compiled "  # begins a line with the compilers' CPU seconds; the program's wall time starts at this line
LEFT = "left before its end (exit status {})"


def main(job: dict[str, Any], walls: Confinement, report_to: int) -> dict[str, Any]:
    """Write the files, compile if the plan has compilers, then run. A failed compilation is the whole report."""
    folder = Path(job["folder"])
    for name, text in job["files"].items():
        if job["mark"]:
            text = text.replace(job["mark"], str(folder / job["mark"]))
        try:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8", errors="surrogatepass")
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            reason = "its class has a name that is too long for a file"
            return {"status": "failed", "reason": reason, "code": 1, "peak_kb": 0, "cpu": 0.0}
        (folder / name).chmod(0o644)
    for command in job["compile"]:
        result = watch(start(command, job, walls.compiler))
        if result["code"] != 0:
            return {**result, "status": "compile_error", "cpu": 0.0}
    before = spent()
    if job["compile"]:
        os.write(report_to, COMPILED + f"{before}\n".encode())
    if job["candidate"]:
        result = pair.main(job, walls)
    elif job["command"]:
        result = _command(job, walls, folder)
    else:
        result = _python(job, walls)
    return {**result, "cpu": spent() - before}


def _command(job: dict[str, Any], walls: Confinement, folder: Path) -> dict[str, Any]:
    """Run a command. With a mark, the program passes only if the mark's file exists at its end."""
    if job["mark"] and job["compile"]:
        for name in job["files"]:  # they contain the mark
            (folder / name).unlink()
    result = watch(start(job["command"], job, walls.program))
    if job["mark"] and result["code"] == 0:
        reached = (folder / job["mark"]).exists()
        result |= {"status": "passed"} if reached else {"status": "failed", "reason": LEFT.format(0)}
    return result


def _python(job: dict[str, Any], walls: Confinement) -> dict[str, Any]:
    """Run a Python program in a fork of the warm interpreter, which saves the start of a new interpreter.

    The forked process itself reports, with a nonce, that the program reached its end: nothing else can observe that.
    """
    nonce = secrets.token_hex(16)
    report_from, report_to = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(job["folder"])
            walls.program(keep=report_to)
            _run(job["source"], nonce, report_to, may_exit=job["may_exit"])
        finally:
            os._exit(70)
    os.close(report_to)
    result = watch(child)
    os.set_blocking(report_from, False)
    try:
        report = os.read(report_from, 4096).decode("utf-8", "replace")
    except BlockingIOError:  # a process that the program started still holds the other end
        report = ""
    given, _, rest = report.partition("\n")
    if secrets.compare_digest(given.encode(), nonce.encode()):
        status, _, reason = rest.partition("\n")
        return {**result, "status": status, "reason": reason}
    return {**result, "status": "gone" if result["code"] == 0 else "", "reason": ""}


def _run(source: str, nonce: str, report_to: int, *, may_exit: bool) -> None:
    # Local names, as the program may replace functions of os and sys.
    write, leave, flushes = os.write, os._exit, (sys.stdout.flush, sys.stderr.flush)
    module = make_module("__main__", source)
    status, reason, code = "passed", "", 0
    try:
        exec(compile(source, FILE, "exec"), module.__dict__)
        if "threading" in sys.modules:  # as Python does at its end: join threads, then run atexit functions
            sys.modules["threading"]._shutdown()
        atexit._run_exitfuncs()
    except MemoryError:
        status, reason, code = "out_of_memory", "MemoryError", 1
    except SystemExit as error:
        left = error.code if isinstance(error.code, int) else int(error.code is not None)
        if left or not may_exit:
            status, reason, code = "failed", LEFT.format(left & 255), left & 255
    except BaseException as error:
        status, reason, code = "failed", in_words(error), 1
        _print_traceback(error)
    for flush in flushes:
        try:
            flush()
        except BaseException:
            code = code or 120  # Python's own status when it cannot write its output
    write(report_to, f"{nonce}\n{status}\n{reason}".encode("utf-8", "replace"))
    leave(code)


def _print_traceback(error: BaseException) -> None:
    """Print a short traceback without calling the exception's own methods, which the program may have written."""
    try:
        traceback.print_tb(error.__traceback__.tb_next if error.__traceback__ else None, limit=-20)
        print(in_words(error), file=sys.stderr)
    except BaseException:
        return
