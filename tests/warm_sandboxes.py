"""Sandbox workers that outlive the pools that start them: a start costs more than most programs of the tests.

tests/sandbox/test_pool.py shows that pools end their own workers.
"""

from collections import defaultdict
from collections.abc import Iterator

import pytest

from chaku.sandbox import pool
from chaku.sandbox.isolation import Isolation
from chaku.sandbox.worker import Worker


class Parked:
    """Idle workers, by isolation and hash seed."""

    def __init__(self) -> None:
        self._idle: dict[tuple[Isolation | None, int], list[Worker]] = defaultdict(list)

    def take(self, isolation: Isolation | None, hash_seed: int = 0) -> Worker:
        idle = self._idle[isolation, hash_seed]
        return idle.pop() if idle else Worker(isolation, hash_seed)

    def park(self, workers: pool._Workers) -> None:
        for worker in workers._by_seed.values():
            if worker.running:
                self._idle[worker.isolation, worker.hash_seed].append(worker)
        workers._by_seed.clear()

    def stop(self) -> None:
        for idle in self._idle.values():
            for worker in idle:
                worker.stop()


@pytest.fixture(scope="session")
def parked() -> Iterator[Parked]:
    workers = Parked()
    yield workers
    workers.stop()


@pytest.fixture(autouse=True)
def warm_sandboxes(parked: Parked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pool takes parked workers and parks its own at its end."""
    monkeypatch.setattr(pool, "Worker", parked.take)
    monkeypatch.setattr(pool._Workers, "stop", lambda workers: parked.park(workers))
