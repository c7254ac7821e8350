"""Programs honest and hostile: the right verdict for each, and nothing left behind."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from chaku.errors import ChakuError
from chaku.sandbox import bubblewrap
from chaku.sandbox.bubblewrap import KEPT_OUTPUT, check_sandbox, run_many, run_program


@pytest.fixture(params=["own user", "user namespace"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every way of isolating that this machine has."""
    found = bubblewrap._how_to_isolate()
    isolation = bubblewrap._Isolation(found.bwrap, found.version, own_user=request.param == "own user")
    if not bubblewrap._run(isolation, "", 20.0, 1024, "").passed:
        pytest.skip(f"this machine cannot isolate by {request.param}")
    monkeypatch.setattr(bubblewrap, "_how_to_isolate", lambda: isolation)
    return request.param


PASSING = {
    "plain": "def add(a, b):\n    return a + b\n\nassert add(1, 2) == 3",
    "main guard": "done = []\nif __name__ == '__main__':\n    done.append(1)\nassert done",
    "global": "count = 0\ndef add():\n    global count\n    count += 1\nadd()\nassert count == 1",
    "forward reference": "def first():\n    return second()\ndef second():\n    return 2\nassert first() == 2",
    "data class": "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nassert P(1) == P(1)",
    "temporary file": "import tempfile\nwith tempfile.TemporaryFile() as f:\n    assert f.write(b'x' * 100000)",
    "child process": "import subprocess\nassert subprocess.check_output(['/bin/echo', 'a']) == b'a\\n'",
    "thread": "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()",
    "surrogate": "s = '\\ud800'\nassert len(s) == 1",
    "null device": "open('/dev/null', 'w').write('x')",
    "busy for a second": "import time\nwhile time.process_time() < 0.6:\n    pass",
}


@pytest.mark.parametrize("name", PASSING)
def test_a_correct_program_passes(name: str, way: str) -> None:
    verdict = run_program(PASSING[name])
    assert (verdict.status, verdict.reason) == ("passed", "")
    assert verdict.passed


FAILING = {
    "assertion": ("assert 1 == 2, 'sums'", "failed", "AssertionError: sums"),
    "syntax": ("def f(:", "failed", "SyntaxError"),
    "exit 0": ("import sys; sys.exit(0)", "failed", "left before its end"),
    "hard exit 0": ("import os; os._exit(0)", "failed", "left before its end"),
    "exit in exit": ("import atexit, os; atexit.register(os._exit, 0); raise SystemExit", "failed", "left before"),
    "exit status of a signal": ("import os; os._exit(200)", "crashed", "signal 72"),
    "segmentation fault": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed", "SIGSEGV"),
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "crashed", "SIGKILL"),
    "endless recursion": ("def f(): f()\nf()", "failed", "RecursionError"),
    "message raises": (
        "class E(Exception):\n    def __str__(self): raise E()\nraise E()",
        "failed",
        "E",
    ),
    "huge message": ("raise ValueError('x' * 300_000_000)", "failed", "ValueError: xxx"),
    "much memory": ("x = bytearray(1_500_000_000)", "out_of_memory", "1024 MB"),
    "every descriptor closed": ("import os\nos.closerange(0, 1000)", "failed", "left before its end"),
    "forged report": (
        "import os\nfor n in range(3, 20):\n    try: os.write(n, b'n\\npassed\\n')\n    except OSError: 0\nos._exit(0)",
        "failed",
        "left before its end",
    ),
    "network": (
        "import socket\nsocket.create_connection(('1.1.1.1', 53), timeout=1)",
        "failed",
        "unreachable",
    ),
    "write outside": ("open('/usr/x', 'w')", "failed", "Read-only file system"),
    "write at the root": ("open('/x', 'w')", "failed", "rror"),
    "remove the system": ("import os\nos.remove('/usr/bin/env')", "failed", "rror"),
    "huge file": ("open('/tmp/x', 'wb').truncate(2**40)", "failed", "OSError"),
    "many bytes": (
        "for i in range(9):\n    open(f'/tmp/{i}', 'wb').write(bytes(31 * 2**20))",
        "failed",
        "No space left",
    ),
    "home": (
        "import os\nassert not os.listdir(os.environ['HOME'])\nopen('/etc/passwd')",
        "failed",
        "No such",
    ),
    "reads standard input": ("input()", "failed", "EOFError"),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_wrong_program_fails_for_the_right_reason(name: str, way: str) -> None:
    program, status, reason = FAILING[name]
    verdict = run_program(program)
    assert verdict.status == status, verdict
    assert reason in verdict.reason


def test_a_fork_bomb_runs_out_of_processes() -> None:
    program = "import os, time\nwhile True:\n    if os.fork() == 0:\n        time.sleep(60)"
    verdict = run_program(program)
    assert verdict.status == "failed"
    assert "BlockingIOError" in verdict.reason


def test_killing_everything_ends_at_the_sandbox(way: str) -> None:
    verdict = run_program("import os\nos.kill(-1, 9)\nassert False")
    assert verdict.status == ("crashed" if way == "user namespace" else "failed")
    assert run_program("assert True").passed


def test_cpu_time_decides_even_when_the_signal_is_caught() -> None:
    loop = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True:\n    pass"
    for program in ("while True:\n    pass", loop):
        verdict = run_program(program, timeout=0.5)
        assert verdict.status == "timed_out", verdict
        assert "0.5 s" in verdict.reason
        assert verdict.cpu_seconds >= 0.5


def test_a_fraction_of_a_second_is_a_limit_too() -> None:
    program = "import time\nwhile time.process_time() < 0.8:\n    pass"
    assert run_program(program, timeout=0.5).status == "timed_out"
    assert run_program(program, timeout=2).passed


def test_waiting_ends_at_the_wall_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "wall_limit", lambda timeout: 0.4)
    verdict = run_program("import time\nprint('begun', flush=True)\ntime.sleep(60)")
    assert verdict.status == "timed_out"
    assert "by the clock" in verdict.reason
    assert verdict.stdout == "begun\n"
    assert verdict.wall_seconds < 5


def test_a_wait_is_tried_again_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = iter([0.4, 20.0])
    monkeypatch.setattr(bubblewrap, "wall_limit", lambda timeout: next(limits, 20.0))
    [verdict] = run_many(["import time\ntime.sleep(0.8)"], num_workers=1)
    assert verdict.passed


def test_output_is_kept_only_in_part_and_never_blocks() -> None:
    verdict = run_program(
        "import os\nfor _ in range(300):\n    os.write(1, b'o' * 10000)\n    os.write(2, b'e' * 10000)"
    )
    assert verdict.passed
    assert verdict.stdout == "o" * KEPT_OUTPUT
    assert verdict.stderr == "e" * KEPT_OUTPUT


def test_endless_output_ends_with_the_cpu_time() -> None:
    assert run_program("while True:\n    print('x' * 10000)", timeout=0.5).status == "timed_out"


def test_standard_input_reaches_the_program() -> None:
    text = "first\nsecond ☺\n" + "x" * 200_000
    verdict = run_program("import sys\nprint(input())\nassert len(sys.stdin.read()) == 200009", stdin=text)
    assert verdict.passed, verdict
    assert verdict.stdout == "first\n"


def test_nothing_of_ours_is_visible(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET", "value")
    (tmp_path / "file").write_text("secret")
    program = f"""
import os
assert "SECRET" not in os.environ
assert not os.path.exists({str(tmp_path)!r})
assert os.getuid() not in (0, {os.getuid()})
assert len([p for p in os.listdir('/proc') if p.isdigit()]) <= 3
"""
    verdict = run_program(program)
    assert verdict.passed, verdict


def test_a_module_in_the_working_folder_is_not_imported() -> None:
    program = "open('typing.py', 'w').write('raise SystemExit')\nimport fractions, typing, colorsys\nassert typing.Any"
    assert run_program(program).passed


def test_a_daemon_and_an_orphan_that_holds_stdout_die_with_the_program() -> None:
    mark = f"chaku-orphan-{os.getpid()}"
    program = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    os.execv('/bin/sh', ['{mark}', '-c', 'sleep 60; true'])
time.sleep(0.2)
"""
    started = time.monotonic()
    verdict = run_program(program)
    assert verdict.passed, verdict
    assert time.monotonic() - started < 10
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=False).stdout
    assert mark not in running.replace(program, "")


def test_files_and_descriptors_are_not_left_behind() -> None:
    run_program("open('/tmp/left', 'w').write('x')")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        assert run_program("import os\nassert not os.path.exists('/tmp/left')").passed
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_verdicts_come_in_order_and_do_not_disturb_each_other() -> None:
    programs = ["assert True", "import os; os.abort()", "assert False", "x = [0] * 10**9", "assert True"] * 3
    statuses = [verdict.status for verdict in run_many(programs, num_workers=4)]
    assert statuses == ["passed", "crashed", "failed", "out_of_memory", "passed"] * 3
    assert run_many([]) == []


def test_sets_of_text_iterate_alike_every_time() -> None:
    outputs = {run_program("print(set('abcdefgh'))").stdout for _ in range(3)}
    assert len(outputs) == 1


def test_without_bubblewrap_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    bubblewrap._how_to_isolate.cache_clear()
    try:
        with monkeypatch.context() as without:
            without.setenv("PATH", "/nowhere")
            with pytest.raises(ChakuError, match="apt-get install bubblewrap"):
                run_program("print(1)")
            assert "not installed" in (check_sandbox() or "")
    finally:
        bubblewrap._how_to_isolate.cache_clear()


def test_a_bubblewrap_that_cannot_isolate_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    bubblewrap._how_to_isolate.cache_clear()
    try:
        with monkeypatch.context() as broken:
            broken.setenv("PATH", str(tmp_path))
            with pytest.raises(ChakuError, match=r"(?s)No permissions to create.*seccomp=unconfined"):
                run_many(["print(1)"])
    finally:
        bubblewrap._how_to_isolate.cache_clear()


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ChakuError, match="cobol"):
        run_program("", language="cobol")
