"""Python programs honest and hostile: the right verdict for each, and nothing left behind."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaku.sandbox import isolation
from chaku.sandbox import worker as working
from chaku.sandbox.bubblewrap import packaged_bwrap
from chaku.sandbox.isolation import Isolation
from chaku.sandbox.languages import toolchains
from chaku.sandbox.probe import how_to_isolate
from chaku.sandbox.verdict import KEPT_OUTPUT, Job, Verdict
from chaku.sandbox.worker import Worker, WorkerDied
from processes import command_lines


@pytest.fixture(scope="module", params=["own user", "user namespace"])
def user(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["the system's bwrap", "the package's bwrap"])
def way(request: pytest.FixtureRequest, user: str) -> Iterator[Worker]:
    """A worker for every way of isolating that this machine has: each bwrap, each kind of user."""
    bwrap = shutil.which("bwrap") if request.param == "the system's bwrap" else packaged_bwrap()
    if bwrap is None:
        pytest.skip(f"{request.param} is not installed")
    warm = Worker(Isolation(bwrap, own_user=user == "own user"))
    try:
        warm.start()
        works = warm.run(Job("")).passed
    except WorkerDied:
        works = False
    if not works:
        warm.stop()
        pytest.skip(f"{request.param} cannot isolate by {user} here")
    yield warm
    warm.stop()


PASSING = {
    "plain": "def add(a, b):\n    return a + b\n\nassert add(1, 2) == 3",
    "main guard": "done = []\nif __name__ == '__main__':\n    done.append(1)\nassert done",
    "global": "count = 0\ndef add():\n    global count\n    count += 1\nadd()\nassert count == 1",
    "forward reference": "def first():\n    return second()\ndef second():\n    return 2\nassert first() == 2",
    "data class": "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nassert P(1) == P(1)",
    "temporary file": "import tempfile\nwith tempfile.TemporaryFile() as f:\n    assert f.write(b'x' * 100000)",
    "child process": "import subprocess\nassert subprocess.check_output(['/bin/echo', 'a']) == b'a\\n'",
    "a hundred threads": """
import threading, time
threads = [threading.Thread(target=time.sleep, args=(0.05,)) for _ in range(100)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
""",
    "who runs it": "import getpass\nassert getpass.getuser() == 'sandbox'",
    "its own source": "import inspect\ndef f():\n    return 1\nassert inspect.getsource(f).startswith('def f')",
    "long numbers": "assert len(str(10**5000)) == 5001",
    "processes": "import multiprocessing as m\nwith m.Pool(2) as pool:\n    assert pool.map(abs, [-1]) == [1]",
    "a server of its own": """
import socket
server = socket.create_server(('localhost', 0))
client = socket.create_connection(('localhost', server.getsockname()[1]))
server.accept()[0].sendall(b'x')
assert client.recv(1) == b'x'
""",
    "processes that start anew": """
import multiprocessing, sys
def square(x):
    return x * x
if __name__ == '__main__':
    for method in ('spawn', 'forkserver'):
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(square, [2, 3]) == [4, 9]
""",
    "its own file": "assert 'its' in open(__file__).read()",
    "thread": "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()",
    "surrogate": "s = '\\ud800'\nassert len(s) == 1",
    "null device": "open('/dev/null', 'w').write('x')",
    "busy for a second": "import time\nwhile time.process_time() < 0.6:\n    pass",
    "local socket": "import socket\na, b = socket.socketpair()\na.send(b'x')\nassert b.recv(1) == b'x'",
}


@pytest.mark.parametrize("name", PASSING)
def test_a_correct_program_passes(name: str, way: Worker) -> None:
    verdict = way.run(Job(PASSING[name]))
    assert (verdict.status, verdict.reason, verdict.exit_status) == ("passed", "", 0)


FAILING = {
    "assertion": ("assert 1 == 2, 'sums'", "failed", "AssertionError: sums"),
    "syntax": ("def f(:", "failed", "SyntaxError"),
    "exit 0": ("import sys; sys.exit(0)", "failed", "left before its end (exit status 0)"),
    "hard exit 0": ("import os; os._exit(0)", "failed", "left before its end (exit status 0)"),
    "exit 3": ("import sys; sys.exit(3)", "failed", "left before its end (exit status 3)"),
    "exit in exit": ("import atexit, os; atexit.register(os._exit, 0); raise SystemExit", "failed", "left before"),
    "segmentation fault": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed", "SIGSEGV"),
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "crashed", "SIGKILL"),
    "endless recursion": ("def f(): f()\nf()", "failed", "RecursionError"),
    "message raises": ("class E(Exception):\n    def __str__(self): raise E()\nraise E()", "failed", "E"),
    "huge message": ("raise ValueError('x' * 300_000_000)", "failed", "ValueError: xxx"),
    "much memory": ("x = bytearray(1_500_000_000)", "out_of_memory", "1024 MB"),
    "every descriptor closed": ("import os\nos.closerange(0, 1000)", "failed", "left before its end"),
    "forged report": (
        "import os\nfor n in range(3, 20):\n    try: os.write(n, b'n\\npassed\\n')\n    except OSError: 0\nos._exit(0)",
        "failed",
        "left before its end",
    ),
    "network": ("import socket\nsocket.create_connection(('192.0.2.1', 53), timeout=1)", "failed", "unreachable"),
    "write outside": ("open('/usr/x', 'w')", "failed", "rror"),
    "write at the root": ("open('/x', 'w')", "failed", "rror"),
    "remove the system": ("import os\nos.remove('/usr/bin/env')", "failed", "rror"),
    "a link out": ("import os\nos.symlink('/usr/x', '/tmp/x')\nopen('/tmp/x', 'w')", "failed", "rror"),
    "huge file": ("open('/tmp/x', 'wb').truncate(2**40)", "output_limit", "may hold"),
    "many bytes": (
        "for i in range(9):\n    open(f'/tmp/{i}', 'wb').write(bytes(31 * 2**20))",
        "failed",
        "No space left",
    ),
    "many files": ("for i in range(10**6):\n    open(f'/tmp/{i}', 'w').close()", "failed", "No space left"),
    "home": (
        "import os\nassert os.listdir(os.environ['HOME']) == ['program.py']\nopen('/etc/passwd')",
        "failed",
        "No such",
    ),
    "reads standard input": ("input()", "failed", "EOFError"),
    "a socket to the machine around": ("import socket\nsocket.socket(socket.AF_VSOCK)", "failed", "not supported"),
    "a socket to the kernel": (
        "import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "failed",
        "not supp",
    ),
    "a pair of another family": ("import socket\nsocket.socketpair(socket.AF_VSOCK)", "failed", "not supported"),
    "memory in files of no folder": ("import os\nos.memfd_create('x')", "failed", "not implemented"),
    "memory of no process": (
        "import ctypes\nlibc = ctypes.CDLL(None)\n"
        "assert max(libc.shmget(0, 4096, 0o1600), libc.msgget(0, 0o1600), libc.semget(0, 1, 0o1600)) >= 0",
        "failed",
        "AssertionError",
    ),
    "traces": (
        "import ctypes\nassert ctypes.CDLL(None, use_errno=True).ptrace(16, 1, 0, 0) == 0, ctypes.get_errno()",
        "failed",
        "AssertionError",
    ),
    "mounts": (
        "import ctypes\nassert ctypes.CDLL(None).mount(b'x', b'/tmp', b'tmpfs', 0, None) == 0",
        "failed",
        "AssertionError",
    ),
    "new namespaces": ("import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0", "failed", "AssertionError"),
    "another user": ("import os\nos.setuid(0)", "failed", "rror"),
    "removes its limits": (
        "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (999, 999))",
        "failed",
        "rror",
    ),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_wrong_program_fails_for_the_right_reason(name: str, way: Worker) -> None:
    program, status, reason = FAILING[name]
    verdict = way.run(Job(program))
    assert verdict.status == status, verdict
    assert reason in verdict.reason


TOGETHER = """
import os, time
{before}
for _ in range(4):
    if os.fork() == 0:
        {inside}
        time.sleep(3)
        os._exit(0)
for _ in range(4):
    os.wait()
"""


def test_the_memory_of_all_processes_counts(way: Worker) -> None:
    each_its_own = "held = bytearray(os.urandom(1 << 20)) * 150"
    unseen = "import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)"  # nobody may look into the process
    for inside in (each_its_own, f"{unseen}; {each_its_own}"):
        verdict = way.run(Job(TOGETHER.format(before="", inside=inside)), memory_mb=200, timeout=20)
        assert (verdict.status, verdict.reason) == ("out_of_memory", "its processes together needed more than 200 MB")


def test_memory_that_processes_share_counts_once(way: Worker) -> None:
    shared = TOGETHER.format(before="held = bytearray(os.urandom(1 << 20)) * 150", inside="len(held)")
    assert way.run(Job(shared), memory_mb=200, timeout=20).passed


def test_a_fork_bomb_runs_out_of_processes(worker: Worker) -> None:
    verdict = worker.run(Job("import os, time\nwhile True:\n    if os.fork() == 0:\n        time.sleep(60)"))
    assert verdict.status == "failed"
    assert "BlockingIOError" in verdict.reason


def test_killing_everything_ends_at_the_sandbox(way: Worker) -> None:
    assert not way.run(Job("import os\nos.kill(-1, 9)\nassert False")).passed
    assert way.run(Job("assert True")).passed


def test_cpu_time_decides_even_when_the_signal_is_caught(worker: Worker) -> None:
    loop = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True:\n    pass"
    for program in ("while True:\n    pass", loop):
        verdict = worker.run(Job(program), timeout=0.5)
        assert verdict.status == "timed_out", verdict
        assert "0.5 s" in verdict.reason
        assert verdict.cpu_seconds >= 0.5


def test_the_time_of_child_processes_counts(worker: Worker) -> None:
    spin = "import time\nwhile time.process_time() < 0.4:\n    pass"
    program = f"import subprocess, sys\nfor _ in range(3):\n    subprocess.run([sys.executable, '-c', {spin!r}])"
    assert worker.run(Job(program), timeout=0.9).status == "timed_out"


def test_a_fraction_of_a_second_is_a_limit_too(worker: Worker) -> None:
    program = "import time\nwhile time.process_time() < 0.8:\n    pass"
    assert worker.run(Job(program), timeout=0.5).status == "timed_out"
    assert worker.run(Job(program), timeout=2).passed


def test_waiting_ends_at_the_wall_limit(monkeypatch: pytest.MonkeyPatch, worker: Worker) -> None:
    monkeypatch.setattr(working, "wall_limit", lambda timeout: 0.4)
    verdict = worker.run(Job("import time\nprint('begun', flush=True)\ntime.sleep(60)"))
    assert verdict.status == "timed_out"
    assert "by the clock" in verdict.reason
    assert verdict.stdout == "begun\n"
    assert verdict.wall_seconds < 5


def test_output_is_kept_only_in_part_and_never_blocks(worker: Worker) -> None:
    program = "import os\nfor _ in range(300):\n    os.write(1, b'o' * 10000)\n    os.write(2, b'e' * 10000)"
    verdict = worker.run(Job(program))
    assert verdict.passed
    assert verdict.stdout == "o" * KEPT_OUTPUT
    assert verdict.stderr == "e" * KEPT_OUTPUT
    assert verdict.stdout_cut
    assert verdict.stderr_cut
    assert len(worker.run(Job(program, keep_output=10**7)).stdout) == 3_000_000


def test_endless_output_is_an_output_limit(worker: Worker) -> None:
    assert worker.run(Job("while True:\n    print('x' * 10000)")).status == "output_limit"


def test_standard_input_reaches_the_program(worker: Worker) -> None:
    text = "first\nsecond ☺\n" + "x" * 200_000
    verdict = worker.run(Job("import sys\nprint(input())\nassert len(sys.stdin.read()) == 200009", stdin=text))
    assert verdict.passed, verdict
    assert verdict.stdout == "first\n"


def test_an_exception_is_shown_on_standard_error(worker: Worker) -> None:
    verdict = worker.run(Job("def f():\n    return 1 / 0\nf()"))
    assert "line 2, in f" in verdict.stderr
    assert "ZeroDivisionError" in verdict.stderr


def test_nothing_of_ours_is_visible(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: Worker) -> None:
    monkeypatch.setenv("SECRET", "value")
    monkeypatch.setenv("USER", "somebody")
    (tmp_path / "file").write_text("secret")
    verdict = way.run(
        Job(f"""
import os
assert "SECRET" not in os.environ
assert not os.path.exists({str(tmp_path)!r})
assert os.getuid() not in (0, {os.getuid()})
assert not os.path.exists({str(Path.home() / ".ssh")!r})
assert os.environ["USER"] == "sandbox"
""")
    )
    assert verdict.passed, verdict


def test_a_module_in_the_working_folder_is_not_imported(worker: Worker) -> None:
    program = "open('typing.py', 'w').write('raise SystemExit')\nimport fractions, typing, colorsys\nassert typing.Any"
    assert worker.run(Job(program)).passed


def test_a_daemon_and_an_orphan_that_holds_stdout_die_with_the_program(worker: Worker) -> None:
    mark = f"chaku-orphan-{os.getpid()}"
    program = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    os.execv('/bin/sh', ['{mark}', '-c', 'sleep 60; true'])
time.sleep(0.2)
"""
    started = time.monotonic()
    verdict = worker.run(Job(program))
    assert verdict.passed, verdict
    assert time.monotonic() - started < 10
    assert not any(mark in line.replace(program, "") for line in command_lines())


def test_packages_are_found_as_outside_wherever_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment under /tmp; its packages before those of the Python that it was made from."""
    inside = Path("/tmp") / f"chaku-test-{os.getpid()}"
    inside.mkdir()
    try:
        (inside / "mine.py").write_text("value = 1")
        (inside / "pip.py").write_text("value = 2")
        monkeypatch.setattr(isolation, "packages", lambda: (str(inside),))
        for way in (how_to_isolate(), None):
            with Worker(way) as worker:
                verdict = worker.run(Job("import mine, pip\nassert (mine.value, pip.value) == (1, 2)"))
                assert verdict.passed, verdict
    finally:
        shutil.rmtree(inside)


def test_bash_has_what_its_programs_calculate_with(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    if (problem := toolchains.why_not("bash")) is not None:
        pytest.skip(f"NOT tested: {problem}")
    assert worker.run(Job("[[ $(echo 'scale=1; 3 / 2' | bc) = 1.5 ]]", "bash")).passed
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "bc" else which(name))
    assert toolchains.why_not("bash") == (
        "bash needs bc: apt-get install bash bc (elsewhere: bash and bc, which its programs calculate with)"
    )


def test_what_one_program_leaves_the_next_does_not_find(worker: Worker) -> None:
    leave = "import os\nfor path in ('/tmp/left', '/dev/shm/left'):\n    open(path, 'w').close()\nos.mkfifo('/tmp/f')"
    assert worker.run(Job(leave)).passed
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        assert worker.run(
            Job("import os\nassert [*os.listdir('/tmp'), *os.listdir('/dev/shm')] == ['program.py']")
        ).passed
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_sets_of_text_iterate_alike_every_time(worker: Worker) -> None:
    assert len({worker.run(Job("print(set('abcdefgh'))")).stdout for _ in range(3)}) == 1


def test_a_verdict_has_its_measures(worker: Worker) -> None:
    verdict: Verdict = worker.run(
        Job("import time\nx = bytearray(200_000_000)\nwhile time.process_time() < 0.3:\n    pass")
    )
    assert verdict.passed
    assert verdict.cpu_seconds >= 0.3
    assert verdict.wall_seconds >= verdict.cpu_seconds * 0.9
    assert verdict.peak_memory_mb > 190
