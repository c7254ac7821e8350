"""Many programs at once, over `bubblewrap.run_program`."""

import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice

from chaku.console import progress
from chaku.sandbox import bubblewrap
from chaku.sandbox.verdict import Job, Verdict


def run(job: Job, *, timeout: float = 3.0, memory_mb: int = 1024, isolated: bool = True) -> Verdict:
    assert isolated
    program = "\n".join([job.prelude, job.source, *job.tests])
    old = bubblewrap.run_program(program, language=job.language, timeout=timeout, memory_mb=memory_mb, stdin=job.stdin)
    code = 0 if old.passed else None
    return Verdict(old.status, old.reason, code, old.cpu_seconds, old.wall_seconds, 0.0, old.stdout, old.stderr)


def run_stream(
    jobs: Iterable[Job],
    *,
    timeout: float = 3.0,
    memory_mb: int = 1024,
    num_workers: int | None = None,
    isolated: bool = True,
) -> Iterator[tuple[int, Verdict]]:
    judge = functools.partial(run, timeout=timeout, memory_mb=memory_mb, isolated=isolated)
    workers = num_workers or len(os.sched_getaffinity(0))
    numbered = enumerate(jobs)
    with ThreadPoolExecutor(workers) as pool:
        running: dict[Future[Verdict], int] = {}
        while True:
            for index, job in islice(numbered, max(workers - len(running), 0)):
                running[pool.submit(judge, job)] = index
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()


def run_many(
    jobs: Sequence[Job],
    *,
    timeout: float = 3.0,
    memory_mb: int = 1024,
    num_workers: int | None = None,
    isolated: bool = True,
    description: str = "run programs",
) -> list[Verdict]:
    verdicts: dict[int, Verdict] = {}
    with progress(description, len(jobs), "programs") as bar:
        stream = run_stream(jobs, timeout=timeout, memory_mb=memory_mb, num_workers=num_workers, isolated=isolated)
        for index, verdict in stream:
            verdicts[index] = verdict
            bar.advance(1)
    return [verdicts[index] for index in range(len(jobs))]
