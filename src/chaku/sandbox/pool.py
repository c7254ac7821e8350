"""Many jobs at a time, on warm workers; their verdicts."""

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

from chaku.console import progress
from chaku.machine import num_cores
from chaku.sandbox.isolation import Isolation
from chaku.sandbox.languages.runners import plan
from chaku.sandbox.probe import how_to_isolate
from chaku.sandbox.verdict import MEMORY_MB, TIMEOUT, Job, Verdict
from chaku.sandbox.worker import Worker, WorkerDied

STARVED = 0.1  # of its time by the clock without a core: more is the machine's fault
ATTEMPTS = 3  # at a job whose worker dies under it; the verdict is then "sandbox_error", which nobody scores


def run(job: Job, *, timeout: float = TIMEOUT, memory_mb: int = MEMORY_MB, isolated: bool = True) -> Verdict:
    """The verdict of one job. `timeout`: CPU seconds; by the clock a program may take three times that and 10 s.

    Raises ChakuError where programs cannot be isolated, unless `isolated` is False: then the program runs as the user
    that calls, with nothing but its limits around it.
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
    """The verdicts of jobs in order, `num_workers` (default: one a core) at a time; see `run`."""
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
    """(index of the job, its verdict) as jobs end. Jobs are taken as workers are free, so they may be generated late.

    A job that ran out of time by the clock because others had the cores is run again, alone, when all others are done,
    before its verdict stands.
    """
    isolation = how_to_isolate() if isolated else None
    num_workers = num_workers or num_cores()
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
                plan(taken[1])  # a missing toolchain is the user's affair, and said before anything starts
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


class Pool:
    """Warm workers that take jobs one by one, from any thread; for work whose next jobs follow from verdicts.

    A context manager: at its end jobs that were not begun are dropped. A job that ran out of time by the clock because
    others had the cores is run a second time, but not alone, as there is no end of the others to wait for.
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
        self._threads = ThreadPoolExecutor(num_workers or num_cores(), "sandbox")

    def submit(self, job: Job) -> Future[Verdict]:
        """The verdict to be. Raises ChakuError for a language that cannot be run here."""
        plan(job)
        return self._threads.submit(self._run, job)

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
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


def _starved(verdict: Verdict, timeout: float) -> bool:
    """Whether a program might have ended in time on an idle machine: one that only waited would wait there, too."""
    share = verdict.starved_seconds / max(verdict.wall_seconds, 1e-9)
    return verdict.status == "timed_out" and verdict.cpu_seconds < timeout and share > STARVED


class _Workers:
    """One thread's warm workers: one for each hash seed that a job asked for."""

    def __init__(self, isolation: Isolation | None):
        self._isolation = isolation
        self._by_seed: dict[int, Worker] = {}

    def verdict(self, job: Job, timeout: float, memory_mb: int) -> Verdict:
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
