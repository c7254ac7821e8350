"""Runs functions on the workers of a Ray cluster in place of this machine's processes.

Where a worker or its machine dies, Ray does that worker's task again, and no other. Results come in the order of the
tasks, so that the number of workers changes nothing.
"""

import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from chaku.console import say
from chaku.errors import ChakuError

RETRIES = 3  # times that a task whose worker died is done again
AHEAD = 4  # tasks for each processor that are handed out before their results are taken
CONNECT_SECONDS = 10.0
LOCAL = "local"  # the address of a cluster that is started on this machine for the command


class Workers(Protocol):
    """What does work in place of this machine's processes. `num_workers`: how many tasks it does at a time."""

    num_workers: int

    def map(self, function: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
        """As the built-in `map`: results come in order."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of one call. May be called from several threads."""

    def check_shared(self, paths: Sequence[Path]) -> None:
        """Raises ChakuError when a machine lacks one of the paths."""


_joined: list[Workers] = []  # what does this process's work, if it is not this machine's processes


class Cluster:
    """A Ray cluster that this process has joined. `num_workers`: its processors."""

    def __init__(self, ray: Any):
        self._ray = ray
        self._remotes: dict[Callable[..., Any], Any] = {}
        self.num_workers = max(1, int(ray.cluster_resources().get("CPU", 1)))

    def map(self, function: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
        """As the built-in `map`, on the cluster's workers; results come in order.

        Raises what the function raises, and ChakuError for a task whose workers keep dying.
        """
        calls = zip(*arguments, strict=False)
        waiting = deque(self._start(function, call) for call in islice(calls, AHEAD * self.num_workers))
        while waiting:
            result = self._result(waiting.popleft())
            waiting.extend(self._start(function, call) for call in islice(calls, 1))
            yield result

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of one call on a worker. May be called from several threads; raises as `map`."""
        return self._result(self._start(function, arguments))

    def check_shared(self, paths: Sequence[Path]) -> None:
        """Raises ChakuError when a machine of the cluster lacks one of the paths: storage must be shared."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        wanted = [str(path.absolute()) for path in paths]
        missing_in = self._ray.remote(num_cpus=0)(_missing)
        for node in self._ray.nodes():
            if not node["Alive"]:
                continue
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            if missing := self._result(missing_in.options(scheduling_strategy=there).remote(wanted)):
                raise ChakuError(
                    f"the machine {node['NodeManagerHostname']} of the Ray cluster lacks {missing[0]}: sources and the "
                    "directory to write must lie on storage that all machines share, under the same path"
                )

    def _start(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        if function not in self._remotes:
            self._remotes[function] = self._ray.remote(max_retries=RETRIES)(function)
        return self._remotes[function].remote(*arguments)

    def _result(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:  # the function's own error, with Ray's traceback around it
            raise error.cause from None
        except self._ray.exceptions.RayError as error:
            raise ChakuError(
                f"a task on the Ray cluster failed {RETRIES + 1} times ({type(error).__name__}), usually because a "
                "machine's memory was full; finished work is kept: start again, with fewer workers on each machine"
            ) from error


@contextmanager
def joined(address: str | None) -> Iterator[None]:
    """Inside the block, workers are those of the Ray cluster at `address`; None: this machine's processes, as always.

    `address`: "local" starts a cluster on this machine; "auto" is the cluster of which this machine is a part;
    HOST:PORT another one. Raises ChakuError when Ray is not installed or does not answer.
    """
    if address is None:
        yield
        return
    try:
        import ray
    except ImportError:
        raise ChakuError("--ray needs Ray: pip install 'chaku[ray]'") from None
    ours = not ray.is_initialized()
    if ours:
        try:
            _reach(address)
            ray.init(
                address=None if address == LOCAL else address,
                log_to_driver=False,
                logging_level="error",
                **({"include_dashboard": False} if address == LOCAL else {}),
            )
        except Exception as error:  # Ray raises bare Exceptions, too
            ray.shutdown()
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ChakuError(f"no Ray cluster at {address}: {said}; begin one with: ray start --head") from error
    cluster = Cluster(ray)
    say(f"ray: {cluster.num_workers} workers on {sum(node['Alive'] for node in ray.nodes())} machines")
    try:
        with using(cluster):
            yield
    finally:
        if ours:
            with suppress(Exception):  # a cluster that is gone
                ray.shutdown()


@contextmanager
def using(workers: Workers) -> Iterator[None]:
    """Inside the block, `workers` do the work."""
    _joined.append(workers)
    try:
        yield
    finally:
        _joined.remove(workers)


def current() -> Workers | None:
    """The cluster that this process has joined; None: this machine works alone."""
    return _joined[-1] if _joined else None


def _reach(address: str) -> None:
    """Raises OSError when nothing answers at HOST:PORT. Ray itself waits for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()


def _missing(paths: list[str]) -> list[str]:
    """On a machine of the cluster: the paths that are not there."""
    return [path for path in paths if not os.path.lexists(path)]
