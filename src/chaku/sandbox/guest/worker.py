"""The warm process in the sandbox: takes jobs, starts a process 1 in new namespaces for each job, reports the results.

It never runs untrusted code itself. Its arguments: the descriptor for jobs and results (marshal, after a length), and
the settings (marshal, in hexadecimal digits).
"""

import gc
import json
import marshal
import math
import os
import select
import shutil
import signal
import site
import socket
import struct
import sys
import tempfile
import time
from typing import Any

from chaku.sandbox.guest import judge, kernel, program, watch
from chaku.sandbox.guest.confinement import COMPILE_MEMORY_MB, Confinement
from chaku.sandbox.guest.wire import in_words

WATCH_SECONDS = 0.1  # between measurements of a running job's memory
EXTRA_MB = 256  # a job's processes together may exceed the limit of one by this much: the judge, runtimes' helpers
PRELOADED = """
    typing math collections itertools functools re heapq json string random bisect operator copy hashlib datetime
    statistics dataclasses abc enum fractions decimal cmath textwrap traceback
"""


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    settings = marshal.loads(bytes.fromhex(sys.argv[2]))
    sys.path[:1] = []  # the folder of these modules, from which candidates must not import
    base = site.getsitepackages()  # a virtual environment does not use them, or only after its own
    sys.path[:] = [path for path in sys.path if path not in base] + settings["packages"]
    for name in PRELOADED.split():
        __import__(name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the calling process, whose end ends us
    sys.set_int_max_str_digits(0)  # no limit of digits: long numbers cost only time, which is limited
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page of ours
    send(channel, {"ready": True})
    while (received := receive(channel)) is not None:
        job, tests_from = received
        try:
            result = run(job, settings, tests_from)
        finally:
            os.close(tests_from)
        send(channel, result)


def receive(channel: socket.socket) -> tuple[dict[str, Any], int] | None:
    """The next job and the descriptor of its tests; None when the channel is closed."""
    header, descriptors, _, _ = socket.recv_fds(channel, 4, 1)
    if len(header) < 4 or not descriptors:
        return None
    data, size = bytearray(), struct.unpack("I", header)[0]
    while len(data) < size:
        part = channel.recv(min(size - len(data), 1 << 20))
        if not part:
            return None
        data += part
    return marshal.loads(data), descriptors[0]


def send(channel: socket.socket, message: dict[str, Any]) -> None:
    data = marshal.dumps(message)
    channel.sendall(struct.pack("I", len(data)) + data)


def run(job: dict[str, Any], settings: dict[str, Any], tests_from: int) -> dict[str, Any]:
    """Run a job in new namespaces until it ends, or its wall time is over.

    Leaves the tests in their file, so that no fork of this process has them in its memory.
    """
    isolated = settings["isolated"]
    files = [os.memfd_create(name) for name in ("stdin", "stdout", "stderr", "compiler")]
    report_from, report_to = os.pipe()
    job["folder"] = "/tmp" if isolated else tempfile.mkdtemp(prefix="chaku-")
    started = time.monotonic()
    try:
        _write(files[0], job["stdin"])
        os.lseek(files[0], 0, os.SEEK_SET)
        child = kernel.fork_into_namespaces() if isolated else os.fork()
        if child == 0:
            _first_process(job, Confinement(job, settings, files), report_to, tests_from)
        os.close(report_to)
        report_to = -1
        report, stopped, compiling = _wait(child, report_from, job, settings)
        starved = 0.0
        if stopped:
            starved = watch.starved() if isolated else math.inf  # unknown without isolation: assume the worst
        _kill(child, group=not isolated)  # the kernel then kills everything that process 1 started
        usage = os.wait4(child, 0)[2]
        outputs = [_start_of(file, job["keep_output"]) for file in files[1:]]
    finally:
        for file in (*files, report_from, report_to):
            if file >= 0:
                os.close(file)
        if not isolated:
            shutil.rmtree(job["folder"], ignore_errors=True)
    result = None if stopped else _read_report(report)
    cpu = max(result["cpu"] if result else 0.0, usage.ru_utime + usage.ru_stime - compiling)
    wall = time.monotonic() - started
    return {
        "result": result,
        "stopped": stopped,
        "cpu": cpu,
        "wall": wall,
        "starved": min(starved, wall),
        "outputs": outputs,
    }


def _first_process(job: dict[str, Any], walls: Confinement, report_to: int, tests_from: int) -> None:
    """Process 1. Never returns."""
    try:
        walls.set_the_scene()
        result = judge.main(job, walls, report_to, tests_from) if job["judged"] else program.main(job, walls, report_to)
        _write(report_to, json.dumps(result).encode())
    except BaseException as error:
        problem = {"status": "sandbox_error", "reason": in_words(error), "cpu": 0.0, "code": None, "peak_kb": 0}
        _write(report_to, json.dumps(problem).encode())
    finally:
        os._exit(0)


def _wait(child: int, report_from: int, job: dict[str, Any], settings: dict[str, Any]) -> tuple[bytes, str, float]:
    """(the report, the limit that stopped process 1: "time", "memory" or "", CPU seconds of compilers).

    A program's wall time begins after compilation; process 1 then writes a line before the report. Measures the job's
    memory from time to time: Linux, without cgroups, limits the memory of one process, but not of several together.
    """
    report = bytearray()
    pidfd = os.pidfd_open(child)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.register(report_from, select.POLLIN)
    deadline = time.monotonic() + (job["compile_wall_seconds"] or job["wall_seconds"])
    memory_mb = max(job["memory_mb"], COMPILE_MEMORY_MB if job["compile"] else 0)
    compiling = 0.0
    try:
        while (left := deadline - time.monotonic()) > 0:
            ready = poll.poll(min(left, WATCH_SECONDS) * 1000)
            for descriptor, _ in ready:
                if descriptor == pidfd:
                    while part := os.read(report_from, 1 << 16):
                        report += part
                elif part := os.read(report_from, 1 << 16):
                    report += part
                else:
                    poll.unregister(report_from)
            if report.startswith(program.COMPILED) and b"\n" in report:
                line, _, report = report.partition(b"\n")
                compiling = float(line.removeprefix(program.COMPILED))
                deadline = time.monotonic() + job["wall_seconds"]
                memory_mb = job["memory_mb"]
            if any(descriptor == pidfd for descriptor, _ in ready):
                return bytes(report), "", compiling
            most = (memory_mb + EXTRA_MB) * kernel.MEGABYTE
            if settings["isolated"] and not ready and watch.holds_more(most, settings["user"]):
                return bytes(report), "memory", compiling
        return bytes(report), "time", compiling
    finally:
        os.close(pidfd)


def _read_report(report: bytes) -> dict[str, Any] | None:
    """Process 1's report; None when it is missing or cut off, as when the tests end their own process."""
    try:
        result = json.loads(report)
        return result if isinstance(result.get("cpu"), float) else None
    except (ValueError, AttributeError, RecursionError):
        return None


def _kill(child: int, group: bool) -> None:
    try:
        os.kill(child, signal.SIGKILL)
        if group:
            os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _start_of(descriptor: int, size: int) -> tuple[bytes, int]:
    """(the first bytes of a file, its size)."""
    return os.pread(descriptor, size, 0), os.fstat(descriptor).st_size


if __name__ == "__main__":
    main()
