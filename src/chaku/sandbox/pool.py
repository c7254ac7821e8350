"""Runs many jobs at a time on warm workers, and returns their verdicts."""

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from chaku.cluster import current
from chaku.console import progress
from chaku.machine import num_cores
from chaku.sandbox.isolation import Isolation
from chaku.sandbox.languages.runners import plan
from chaku.sandbox.probe import how_to_isolate
from chaku.sandbox.verdict import MEMORY_MB, TIMEOUT, Job, Verdict
from chaku.sandbox.worker import Worker, WorkerDied

STARVED = 0.1  # share of the wall time that a program waited for a core: above it, the timeout is the machine's fault
ATTEMPTS = 3  # workers that may die under a job before its verdict is "sandbox_error", which is not scored


def run(job: Job, *, timeout: float = TIMEOUT, memory_mb: int = MEMORY_MB, isolated: bool = True) -> Verdict:
    """The verdict of one job. `timeout`: CPU seconds; the limit of wall time is 3 * `timeout` + 10 seconds.

    With `isolated` False, the program runs as the calling user, with limits but without a sandbox. Raises ChakuError
    when programs cannot be isolated, unless `isolated` is False.
    """
    [(_, verdict)] = run_stream([job], timeout=timeout, memory_mb=memory_mb, num_workers=1, isolated=isolated)
    return verdict


def run_many(
    jobs: Sequence[Job],
    *,
    timeout: float = TIMEOUT,
    memory_mb: int = MEMORY_MB,
    num_workers: int | None = None,
    isolated: bool = True,
    description: str = "run programs",
) -> list[Verdict]:
    """The verdicts of jobs, in their order. Runs `num_workers` jobs (default: `usual_workers`) at a time; see `run`."""
    verdicts: list[Verdict | None] = [None] * len(jobs)
    with progress(description, len(jobs), "programs") as bar:
        limits: dict[str, Any] = {"timeout": timeout, "memory_mb": memory_mb}
        for index, verdict in run_stream(jobs, num_workers=num_workers, isolated=isolated, **limits):
            verdicts[index] = verdict
            bar.advance(1)
    return [verdict for verdict in verdicts if verdict is not None]


def run_stream(
    jobs: Iterable[Job],
    *,
    timeout: float = TIMEOUT,
    memory_mb: int = MEMORY_MB,
    num_workers: int | None = None,
    isolated: bool = True,
) -> Iterator[tuple[int, Verdict]]:
    """Yields (index of the job, its verdict) as jobs end. Takes the next job when a worker is free.

    A job that ran out of wall time because other processes had the cores is run again, alone, after all other jobs.
    """
    isolation = how_to_isolate() if isolated else None
    num_workers = num_workers or usual_workers()
    source = enumerate(jobs)
    taking, stopped = threading.Lock(), threading.Event()
    done: queue.Queue[tuple[int, Job, Verdict] | BaseException | None] = queue.Queue()

    def work() -> None:
        workers = _Workers(isolation)
        try:
            while not stopped.is_set():
                with taking:
                    taken = next(source, None)
                if taken is None:
                    break
                plan(taken[1])  # raises ChakuError for a missing toolchain, before the job starts
                done.put((*taken, workers.verdict(taken[1], timeout, memory_mb)))
        except BaseException as error:
            done.put(error)
        finally:
            workers.stop()
            done.put(None)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(num_workers)]
    again: list[tuple[int, Job]] = []
    try:
        for thread in threads:
            thread.start()
        running = len(threads)
        while running:
            item = done.get()
            if item is None:
                running -= 1
            elif isinstance(item, BaseException):
                raise item
            elif _starved(item[2], timeout):
                again.append((item[0], item[1]))
            else:
                yield item[0], item[2]
        workers = _Workers(isolation)
        try:
            for index, job in again:
                yield index, workers.verdict(job, timeout, memory_mb)
        finally:
            workers.stop()
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


class Pool(AbstractContextManager["Pool"]):
    """Warm workers that take jobs one by one, from any thread; for work whose next jobs depend on verdicts.

    A context manager: its end drops jobs that have not started. A job that ran out of wall time because other processes
    had the cores is run a second time, but not alone: there may always be other jobs.
    """

    def __init__(
        self,
        *,
        timeout: float = TIMEOUT,
        memory_mb: int = MEMORY_MB,
        num_workers: int | None = None,
        isolated: bool = True,
    ):
        self._limits = (timeout, memory_mb)
        self._isolation = how_to_isolate() if isolated else None
        self._all: list[_Workers] = []
        self._own = threading.local()
        self._threads = ThreadPoolExecutor(num_workers or usual_workers(), "sandbox")

    def submit(self, job: Job) -> Future[Verdict]:
        """Queue a job; the future gives its verdict. Raises ChakuError for a language that cannot be run here."""
        plan(job)
        return self._threads.submit(self._run, job)

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        for workers in self._all:
            workers.stop()

    def _run(self, job: Job) -> Verdict:
        if not hasattr(self._own, "workers"):
            self._own.workers = _Workers(self._isolation)
            self._all.append(self._own.workers)
        verdict: Verdict = self._own.workers.verdict(job, *self._limits)
        if _starved(verdict, self._limits[0]):
            verdict = self._own.workers.verdict(job, *self._limits)
        return verdict


def usual_workers() -> int:
    """One worker for each core of this machine, or for each processor of the Ray cluster."""
    cluster = current()
    return num_cores() if cluster is None else cluster.num_workers


def _starved(verdict: Verdict, timeout: float) -> bool:
    """Whether a program ran out of wall time because it lacked a core, and might end in time on an idle machine.

    A program that only waited, without being ready to run, would wait on an idle machine too.
    """
    share = verdict.starved_seconds / max(verdict.wall_seconds, 1e-9)
    return verdict.status == "timed_out" and verdict.cpu_seconds < timeout and share > STARVED


class _Workers:
    """One thread's warm workers: one worker for every hash seed of its jobs."""

    def __init__(self, isolation: Isolation | None):
        self._isolation = isolation
        self._by_seed: dict[int, Worker] = {}

    def verdict(self, job: Job, timeout: float, memory_mb: int) -> Verdict:
        if (cluster := current()) is not None:
            verdict: Verdict = cluster.call(verdict_there, job, timeout, memory_mb, self._isolation is not None)
            return verdict
        if job.hash_seed not in self._by_seed:
            self._by_seed[job.hash_seed] = Worker(self._isolation, job.hash_seed)
        worker = self._by_seed[job.hash_seed]
        reason = ""
        for _ in range(ATTEMPTS):
            try:
                if not worker.running:
                    worker.start()
                return worker.run(job, timeout=timeout, memory_mb=memory_mb)
            except WorkerDied as error:
                worker.stop()
                reason = str(error)
        return Verdict("sandbox_error", reason, None, 0.0, 0.0, 0.0, "", "")

    def stop(self) -> None:
        for worker in self._by_seed.values():
            worker.stop()


@cache
def _workers_there(isolated: bool) -> _Workers:
    return _Workers(how_to_isolate() if isolated else None)


def verdict_there(job: Job, timeout: float, memory_mb: int, isolated: bool) -> Verdict:
    """In a worker of a Ray cluster: the verdict of a job. The worker keeps its warm sandboxes for the next job."""
    return _workers_there(isolated).verdict(job, timeout, memory_mb)
