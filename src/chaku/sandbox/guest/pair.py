"""Process 1 of a job in a scripted language other than Python: starts a judge and a candidate process."""

import os
import socket
from pathlib import Path
from typing import Any

from chaku.sandbox.guest.confinement import Confinement
from chaku.sandbox.guest.processes import END_SECONDS, end, start, wait

CHANNEL, TESTS = 3, 4  # descriptors: both processes have CHANNEL, only the judge has TESTS


def main(job: dict[str, Any], walls: Confinement) -> dict[str, Any]:
    """Delete the tests' file, start candidate and judge, wait for the judge, and return the report."""
    path = Path(job["folder"], job["tests"])
    tests = os.memfd_create("tests")
    with os.fdopen(tests, "wb", closefd=False) as file:
        file.write(path.read_bytes())
    os.lseek(tests, 0, os.SEEK_SET)
    for copy in Path(job["folder"]).glob(f"{path.stem}.*"):  # the tests' source, and a compiler's output
        copy.unlink()
    words = walls.files[3]
    os.ftruncate(words, 0)
    os.lseek(words, 0, os.SEEK_SET)
    here, there = socket.socketpair()
    keep = there.fileno()
    candidate = start(job["candidate"], job, lambda: walls.program(keep), {CHANNEL: keep}, apart=walls.isolated)
    there.close()
    given = {CHANNEL: here.fileno(), TESTS: tests}
    judge = start(job["command"], job, lambda: walls.foreign_judge(set(given.values())), given)
    code = os.waitstatus_to_exitcode(os.waitpid(judge, 0)[1])
    gone = _hung_up(here)
    died = wait(candidate, END_SECONDS, apart=walls.isolated) if gone else None
    usage = died[1] if died is not None else end(candidate, END_SECONDS, apart=walls.isolated)
    result = {"code": None, "peak_kb": usage.ru_maxrss}
    if gone:  # even when the tests caught the error
        return result | {"status": "gone", "reason": "", "code": died[0] if died else None}
    if code == 0:
        return result | {"status": "passed", "reason": ""}
    return result | {"status": "failed", "reason": _last_line(words) or f"the tests ended with exit status {code}"}


def _hung_up(channel: socket.socket) -> bool:
    """Whether the candidate closed its end; the judge's end is still open, as we hold a copy."""
    try:
        while data := channel.recv(1 << 16, socket.MSG_DONTWAIT):
            del data
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def _last_line(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    lines = os.pread(descriptor, 4096, max(0, size - 4096)).decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
