"""Many jobs: order, load, time-outs confirmed alone, workers that die, and no sandbox."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from chaku.errors import ChakuError
from chaku.sandbox import pool, worker
from chaku.sandbox.environment import ENVIRONMENT
from chaku.sandbox.languages.toolchains import missing_tools
from chaku.sandbox.pool import Pool, run, run_many, run_stream
from chaku.sandbox.probe import check_sandbox
from chaku.sandbox.verdict import Job
from processes import children


def test_verdicts_come_in_order_and_do_not_disturb_each_other() -> None:
    programs = ["assert True", "import os; os.abort()", "assert False", "x = [0] * 10**9", "assert True"] * 3
    statuses = [verdict.status for verdict in run_many([Job(program) for program in programs], num_workers=4)]
    assert statuses == ["passed", "crashed", "failed", "out_of_memory", "passed"] * 3
    assert run_many([]) == []


def test_a_busy_machine_changes_no_verdict() -> None:
    busy = Job(
        "import time\ndef f():\n    while time.process_time() < 0.7:\n        pass", tests=("f()",), entry_point="f"
    )
    assert all(verdict.passed for verdict in run_many([busy] * 8, timeout=2, num_workers=8))


SLEEPER = Job("import time\ntime.sleep(60)")
SPINNER = Job("import time\nwhile time.process_time() < 0.6:\n    pass")


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The first try of a job is short, and others take the only core from it; later ones have time."""
    limits = iter([0.9])
    monkeypatch.setattr(worker, "wall_limit", lambda timeout: next(limits, 60.0))
    core = min(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    yield
    os.sched_setaffinity(0, before)
    for burner in burners:
        burner.kill()
        burner.wait()


def test_a_program_that_got_no_core_is_tried_again(crowded: None) -> None:
    assert run(SPINNER, timeout=5).passed


def test_in_a_pool_a_program_that_got_no_core_is_tried_again(crowded: None) -> None:
    with Pool(num_workers=1, timeout=5) as warm:
        assert warm.submit(SPINNER).result().passed


def test_a_program_that_only_waits_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []
    monkeypatch.setattr(worker, "wall_limit", lambda timeout: limits.append(1.0) or 1.0)
    monkeypatch.setattr(pool, "STARVED", 0.9)  # on a busy machine it also waits before it sleeps
    assert [verdict.status for verdict in run_many([SLEEPER] * 3, num_workers=3)] == ["timed_out"] * 3
    assert len(limits) == 3
    # Without isolation it is not known what kept them, so that they are.
    assert run(SLEEPER, isolated=False).status == "timed_out"
    assert len(limits) == 5


def test_jobs_are_taken_as_workers_are_free() -> None:
    taken = []

    def jobs():
        for number in range(6):
            taken.append(number)
            yield Job(f"print({number})")

    stream = run_stream(jobs(), num_workers=1)
    index, verdict = next(stream)
    assert verdict.stdout == f"{index}\n"
    assert len(taken) < 6
    stream.close()


def test_a_worker_that_dies_is_replaced_and_its_job_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    original, deaths = worker.Worker._receive, iter([True])

    def receive(self: worker.Worker) -> dict:
        if self._process is not None and getattr(self, "used", False) and next(deaths, False):
            self._process.kill()
        self.used = True
        return original(self)

    monkeypatch.setattr(worker.Worker, "_receive", receive)
    assert all(verdict.passed for verdict in run_many([Job("assert True")] * 3, num_workers=1))


def test_a_worker_that_always_dies_is_a_sandbox_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_nothing(self: worker.Worker, job: Job, **_: object) -> None:
        raise worker.WorkerDied("broken")

    check_sandbox()
    monkeypatch.setattr(worker.Worker, "run", run_nothing)
    verdict = run(Job("assert True"))
    assert (verdict.status, verdict.reason) == ("sandbox_error", "broken")


def test_nothing_is_left_behind() -> None:
    def count() -> tuple[int, ...]:
        here = (len(list(Path(folder).iterdir())) for folder in ("/proc/self/fd", "/tmp"))
        return len(children(os.getpid())), *here

    run_many([Job("pass")], num_workers=2)
    before = count()
    run_many([Job("import os\nos.fork()\nopen('/tmp/x', 'w')"), Job("1/0"), Job("x = 1")] * 10, num_workers=2)
    assert count()[:2] == before[:2]


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ChakuError, match="cobol"):
        run(Job("", language="cobol"))


def test_without_isolation_verdicts_are_the_same_and_folders_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENVIRONMENT, "TMPDIR", str(tmp_path))
    jobs = [
        Job(f"import os\nassert os.getcwd().startswith({str(tmp_path)!r})"),
        Job("open('x', 'w').write('y')\nprint(open('x').read())"),
        Job("import os\nos._exit(0)"),
        Job("def f(x):\n    return x * 2", tests=("assert f(1) == 2",), entry_point="f"),
        Job("def f(x):\n    return 3", tests=("assert f(1) == 2",), entry_point="f"),
        Job("while True:\n    pass"),
    ]
    verdicts = run_many(jobs, isolated=False, timeout=0.5, num_workers=2)
    assert [verdict.status for verdict in verdicts] == ["passed", "passed", "failed", "passed", "failed", "timed_out"]
    assert list(tmp_path.iterdir()) == []


ORDER = "print(''.join({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}))"


@pytest.mark.parametrize("isolated", [True, False])
def test_a_job_may_choose_the_hash_seed(isolated: bool) -> None:
    seeds = [0, 1, 2, 3, 0, 1, 2, 3]
    orders = [verdict.stdout for verdict in run_many([Job(ORDER, hash_seed=seed) for seed in seeds], isolated=isolated)]
    assert orders[:4] == orders[4:]
    assert len(set(orders)) > 1


def test_a_pool_takes_jobs_as_they_come() -> None:
    with Pool(num_workers=2) as warm:
        first = warm.submit(Job("print(6 * 7)")).result()
        later = [warm.submit(Job(f"assert {number} % 2 == 0")) for number in range(6)]
        assert first.stdout == "42\n"
        assert [job.result().passed for job in later] == [True, False] * 3


def test_at_a_pools_end_what_was_not_begun_is_dropped() -> None:
    with Pool(num_workers=1) as warm:
        waiting = [warm.submit(Job("import time\ntime.sleep(0.3)")) for _ in range(50)]
    assert sum(job.cancelled() for job in waiting) > 40


@pytest.mark.parametrize(
    "job",
    [
        Job("raise ValueError('\\ud800')"),
        Job("def f():\n    raise ValueError('\\ud800')", tests=("assert f() == 1",)),
        Job("def f():\n    return '\\ud800'", tests=("assert f() == 'a'",)),
        Job("def f():\n    return 'x' * 500_000_000", tests=("assert f() == 1",)),
        Job(f"public class {'A' * 300} {{ public static void main(String[] a) {{ }} }}", language="java"),
    ],
    ids=["half a pair", "half a pair in an answer", "half a pair as an answer", "an endless answer", "a long name"],
)
def test_no_sample_stops_the_others(job):
    """Each fails by itself, and its verdict can be written down."""
    if missing_tools(job.language):
        pytest.skip(f"no {job.language} here")
    first, verdict, last = run_many([Job("x = 1"), job, Job("x = 2")], num_workers=2)
    assert (first.passed, last.passed) == (True, True)
    assert verdict.status in ("failed", "out_of_memory", "timed_out"), verdict.reason
    json.dumps(asdict(verdict), ensure_ascii=False).encode("utf-8")
