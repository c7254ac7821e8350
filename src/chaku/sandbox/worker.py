"""One warm worker, seen from outside: starts it, sends it jobs, turns its reports into verdicts."""

import marshal
import math
import os
import signal
import socket
import struct
import subprocess
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from chaku.sandbox import isolation as isolating
from chaku.sandbox.guest.confinement import FILE_MB
from chaku.sandbox.languages.plan import Plan
from chaku.sandbox.languages.runners import plan
from chaku.sandbox.outcome import compile_failure, outcome, signal_name
from chaku.sandbox.verdict import MEMORY_MB, TIMEOUT, Job, Status, Verdict

if TYPE_CHECKING:
    from chaku.sandbox.isolation import Isolation

START_SECONDS = 60.0  # time for a worker to be ready on a busy machine
GRACE_SECONDS = 30.0  # after a job's own limits; then the worker counts as dead
BOOT = "import sys; sys.path.insert(0, {path!r}); from chaku.sandbox.guest import worker; worker.main()"


class WorkerDied(Exception):
    """The worker ended or does not answer. (A program that ends or hangs gets a verdict.)"""


class Worker:
    """A warm sandbox. A context manager. With `isolation` None, programs run unisolated (`--unsafe-no-sandbox`).

    All jobs run with the worker's `hash_seed`, not with their own: `pool.py` keeps a worker for every hash seed.
    """

    def __init__(self, isolation: "Isolation | None", hash_seed: int = 0):
        self.isolation, self.hash_seed = isolation, hash_seed
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def __enter__(self) -> "Worker":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and wait until it is ready. Raises WorkerDied, with the last error line, when it fails."""
        ours, theirs = socket.socketpair()
        isolated = self.isolation is not None
        settings: dict[str, Any] = {"isolated": False, "user": None, "count_processes": False}
        line: list[str] = []
        settings["packages"] = list(isolating.packages())
        if self.isolation is not None:
            settings = self.isolation.settings()
            line = isolating.command(self.isolation, self.hash_seed)
        path = "/sandbox" if isolated else str(isolating.GUEST.parents[2])
        # -P: import no module from the working directory; -s: none from the home; -B: write no byte code.
        line += [str(isolating.interpreter()), "-P", "-s", "-B", "-c", BOOT.format(path=path)]
        line += [str(theirs.fileno()), marshal.dumps(settings).hex()]
        self._process = subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(theirs.fileno(),),
            env={} if isolated else isolating.environment(self.hash_seed),
            start_new_session=True,  # Ctrl-C must reach the calling process only
        )
        theirs.close()
        self._channel = ours
        ours.settimeout(START_SECONDS)
        try:
            self._receive()
        except WorkerDied:
            self.stop()
            raise

    @property
    def running(self) -> bool:
        return self._process is not None

    def stop(self) -> None:
        """Kill the worker and every process in it."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stderr is not None:
                self._process.stderr.close()
        self._channel = self._process = None

    def run(self, job: Job, *, timeout: float = TIMEOUT, memory_mb: int = MEMORY_MB) -> Verdict:
        """The verdict of one job. Raises WorkerDied when the worker fails; then start the worker again."""
        assert self._channel is not None
        how = plan(job, memory_mb)
        wall = wall_limit(timeout)
        compile_wall = wall_limit(how.compile_seconds) if how.compile else 0.0
        message = {
            "source": job.source if how.judged or not how.command else "",
            "stdin": job.stdin.encode("utf-8", "surrogatepass"),
            "keep_output": max(job.keep_output, 1),
            "cpu_seconds": math.ceil(timeout),
            "wall_seconds": wall,
            "compile_wall_seconds": compile_wall,
            "memory_mb": memory_mb,
            "may_exit": job.may_exit,
            **how.fields(),
        }
        trusted = {
            "tests": list(job.tests),
            "prelude": job.prelude,
            "entry_point": job.entry_point,
            "stop_at_failure": job.stop_at_failure,
        }
        self._channel.settimeout(compile_wall + wall + GRACE_SECONDS)
        tests_from = os.memfd_create("tests")
        try:
            with open(tests_from, "wb", closefd=False) as file:
                file.write(marshal.dumps(trusted if how.judged else {}))
            os.lseek(tests_from, 0, os.SEEK_SET)
            data = marshal.dumps(message)
            sent = socket.send_fds(self._channel, [struct.pack("I", len(data))], [tests_from])
            assert sent == 4
            self._channel.sendall(data)
            reply = self._receive()
        except OSError as error:
            raise WorkerDied(self._last_words() or str(error)) from error
        finally:
            os.close(tests_from)
        return _verdict(job, how, reply, timeout, memory_mb)

    def _receive(self) -> dict[str, Any]:
        assert self._channel is not None
        data = bytearray()
        size = 4
        while len(data) < size:
            try:
                part = self._channel.recv(min(size - len(data), 1 << 20))
            except TimeoutError:
                part = b""
            if not part:
                raise WorkerDied(self._last_words() or "the sandbox's worker does not answer")
            data += part
            if size == len(data) == 4:
                size += int(struct.unpack("I", data)[0])
        return cast(dict[str, Any], marshal.loads(data[4:]))

    def _last_words(self) -> str:
        if self._process is None or self._process.stderr is None:
            return ""
        self._process.kill()
        words = self._process.stderr.read().decode("utf-8", "replace").strip()
        return words.splitlines()[-1][:300] if words else ""


def wall_limit(timeout: float) -> float:
    """The limit of a program's wall time, in seconds: generous, as other work may share the machine."""
    return 3 * timeout + 10


def _verdict(job: Job, how: Plan, reply: dict[str, Any], timeout: float, memory_mb: int) -> Verdict:
    result = reply["result"] or {}
    stdout, stderr, compiler = ((text.decode("utf-8", "replace"), size > len(text)) for text, size in reply["outputs"])
    status, reason = _judge(how, reply, timeout, memory_mb, stdout[0], stderr[0], compiler[0])
    if status == "compile_error":
        stderr = compiler
    return Verdict(
        status,
        _as_utf8(reason),
        result.get("code"),
        reply["cpu"],
        reply["wall"],
        result.get("peak_kb", 0) / 1024,
        stdout[0],
        stderr[0],
        stdout[1],
        stderr[1],
        tuple(map(_as_utf8, result.get("tests", ()))),
        reply["starved"],
    )


def _as_utf8(text: str) -> str:
    """Replace lone surrogates, which a program may put into its message, and which cannot be written to a file."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _judge(
    how: Plan, reply: dict[str, Any], timeout: float, memory_mb: int, stdout: str, stderr: str, compiler: str
) -> tuple[Status, str]:
    result, cpu = reply["result"], reply["cpu"]
    if reply["stopped"] == "time":
        return "timed_out", f"was still running or waiting after {reply['wall']:.0f} s by the clock"
    if reply["stopped"] == "memory":
        return "out_of_memory", f"its processes together needed more than {memory_mb} MB"
    if result is None:
        return ("failed", "the tests ended their own process") if how.judged else ("sandbox_error", "no report")
    status, reason, code = result["status"], result["reason"], result["code"]
    if status == "sandbox_error":
        return "sandbox_error", reason
    if status == "compile_error":
        return compile_failure(code, compiler, how.compile_seconds)
    if cpu >= timeout or code == -signal.SIGXCPU:
        return "timed_out", f"used {cpu:.1f} s of CPU time; the limit is {timeout:g} s"
    if code == -signal.SIGXFSZ or any(size >= FILE_MB * 2**20 for _, size in reply["outputs"][:2]):
        return "output_limit", "wrote more than a file, or an output, may hold"
    if status == "out_of_memory":
        return "out_of_memory", f"needed more than {memory_mb} MB"
    if status in ("passed", "failed"):
        return status, reason
    if code is None:
        return "failed", "stopped answering before its end"
    if how.command and (code != 0 or status != "gone"):
        return outcome(code, stdout, stderr, memory_mb)
    if code < 0:
        return "crashed", f"killed by {signal_name(-code)}"
    return "failed", f"left before its end (exit status {code})"
