"""The engine behind a server: one thread runs the scheduler, and any number of requests wait for their texts.

Equal requests share one text while it is written. When nobody waits for a text any more, it is cancelled.
"""

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from chaku.console import warn
from chaku.errors import ChakuError
from chaku.inference.engine import Engine
from chaku.inference.generator import Request
from chaku.inference.prompts import Prompt
from chaku.inference.scheduler import Job, Piece, Scheduler

READ_BESIDE = 128  # tokens of prompts in a step, while other requests wait for their next token
LAST_TEXTS = 16  # whose speed `Service.speed` tells


class BusyError(Exception):
    """As many requests wait as may wait."""


class StoppingError(Exception):
    """The server is about to stop, and takes no more requests."""


@dataclass
class Totals:
    """What a service has done since it started; for /metrics."""

    requests: int = 0
    refused: int = 0
    cancelled: int = 0
    shared: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    guessed_tokens: int = 0
    right_guesses: int = 0
    steps: int = 0
    failures: int = 0


class Writing:
    """A text that is being written, for one reader: an asynchronous iterator of pieces, the last with a finish reason.

    Whoever leaves before the end must call `close`. Raises ChakuError, to every reader, when the model fails.
    """

    def __init__(self, shared: "_Shared"):
        self._shared, self._at = shared, 0

    @property
    def job(self) -> Job:
        """The scheduler's job: its counts of tokens, and its times."""
        return self._shared.job

    def __aiter__(self) -> AsyncIterator[Piece]:
        return self

    async def __anext__(self) -> Piece:
        shared = self._shared
        while self._at >= len(shared.pieces):
            if shared.failure:
                raise ChakuError(shared.failure)
            if shared.done:
                raise StopAsyncIteration
            await shared.changed()
        self._at += 1
        return shared.pieces[self._at - 1]

    def close(self) -> None:
        """This reader has enough."""
        self._shared.leave(self)


class Service:
    """Writes texts for the requests of an event loop.

    `max_rows`: texts that are written at one time. `max_waiting`: requests that may wait for a row. `guess`: see
    `Scheduler`. Not thread-safe but for `totals`: `ask` and `stop` belong to one event loop.
    """

    def __init__(self, engine: Engine, *, max_rows: int = 32, max_waiting: int = 256, guess: bool = True):
        self.engine, self.max_rows, self.max_waiting = engine, max_rows, max_waiting
        self.totals, self.started = Totals(), time.time()
        self._last_texts: deque[tuple[int, float]] = deque(maxlen=LAST_TEXTS)  # tokens after the first, and seconds
        self._guess = guess
        self._scheduler = self._new_scheduler()
        self._inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._shared: dict[Any, _Shared] = {}
        self._stopping = False
        self._reader = ThreadPoolExecutor(1, "read-prompts")  # tokenizers and grammars: one request at a time
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    @property
    def num_running(self) -> int:
        return len(self._scheduler.running)

    @property
    def num_waiting(self) -> int:
        return max(len(self._shared) - self.num_running, 0)

    @property
    def cache_use(self) -> tuple[int, int]:
        """(blocks of the cache in use, all blocks)."""
        cache = self._scheduler.cache
        return cache.num_blocks - cache.num_available, cache.num_blocks

    @property
    def speed(self) -> float | None:
        """Tokens per second of one text: the mean of the last texts. None before the first text."""
        seconds = sum(seconds for _, seconds in self._last_texts)
        return sum(num_tokens for num_tokens, _ in self._last_texts) / seconds if seconds else None

    async def ask(self, request: Request, num_top: int | None = None) -> Writing:
        """Begin to write a text. `num_top`: see `Job`.

        `max_tokens` is lowered to the room that the context leaves. Raises BusyError, StoppingError, and ChakuError for
        a request that this model cannot answer or that is too long.
        """
        loop = asyncio.get_running_loop()
        if self._stopping:
            raise StoppingError
        if len(self._shared) >= self.max_rows + self.max_waiting:
            self.totals.refused += 1
            raise BusyError
        prompt, request = await loop.run_in_executor(self._reader, self._read, request)
        self.totals.requests += 1
        key = (prompt.ids, prompt.stop_ids, request.params, request.sample, request.grammar, num_top)
        shared = self._shared.get(key)
        if shared is None or shared.job.cancelled:
            row = await loop.run_in_executor(
                self._reader, self.engine.row, prompt, request.params, request.sample, request.grammar
            )
            shared = self._shared[key] = _Shared(self, key, loop)
            shared.job = Job(row, shared.hear, num_top)
            self._inbox.put(shared.job)
        else:
            self.totals.shared += 1
        return shared.join()

    def _read(self, request: Request) -> tuple[Prompt, Request]:
        """The prompt in tokens, and the request with the `max_tokens` for which there is room."""
        prompt = self.engine.read(request)
        context = min(self.engine.context, self._scheduler.max_tokens)
        room = context - len(prompt.ids)
        if room < 1:
            raise ChakuError(f"the prompt has {len(prompt.ids)} tokens; the model reads at most {context - 1}")
        if request.params.max_tokens > room:
            request = replace(request, params=replace(request.params, max_tokens=room))
        return prompt, request

    async def stop(self, seconds: float = 30.0) -> None:
        """Take no more requests, and end when all texts are written, or after so many seconds."""
        self._stopping = True
        ends = time.monotonic() + seconds
        while self._shared and time.monotonic() < ends:
            await asyncio.sleep(0.05)
        for shared in list(self._shared.values()):
            shared.job.cancelled = True
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)
        self._reader.shutdown()

    def _run(self) -> None:
        """The thread of the scheduler."""
        busy = False
        while True:
            try:
                while True:
                    job = self._inbox.get(block=not busy)
                    if job is None:
                        return
                    self._scheduler.submit(job)
                    busy = True
            except queue.Empty:
                pass
            try:
                busy = self._scheduler.step()
                self.totals.steps += 1
            except Exception as error:  # perhaps no memory: the texts are lost, the server is not
                warn(f"the model failed: {type(error).__name__}: {error}")
                self.totals.failures += 1
                lost, busy = [*self._scheduler.running, *self._scheduler.waiting], False
                self._scheduler = self._new_scheduler()
                for job in lost:
                    job.cancelled = True
                    for shared in list(self._shared.values()):
                        if shared.job is job:
                            shared.fail("the model failed; ask again")

    def _new_scheduler(self) -> Scheduler:
        return self.engine.new_scheduler(max_rows=self.max_rows, guess=self._guess, read_beside=READ_BESIDE)

    def forget(self, shared: "_Shared") -> None:
        """A text is written, or nobody waits for it."""
        if self._shared.get(shared.key) is shared:
            del self._shared[shared.key]
        job, totals = shared.job, self.totals
        totals.cancelled += job.cancelled
        totals.prompt_tokens += job.num_prompt
        totals.cached_tokens += job.num_prompt_cached
        totals.written_tokens += len(job.row.ids)
        totals.guessed_tokens += job.num_guessed
        totals.right_guesses += job.num_right
        if job.read and len(job.row.ids) > 1:
            self._last_texts.append((len(job.row.ids) - 1, time.monotonic() - job.read))


class _Shared:
    """A text, and those who wait for it."""

    job: Job

    def __init__(self, service: Service, key: Any, loop: asyncio.AbstractEventLoop):
        self._service, self.key, self._loop = service, key, loop
        self.pieces: list[Piece] = []
        self.done, self.failure = False, ""
        self._readers: set[Writing] = set()
        self._change: asyncio.Future[None] | None = None

    def join(self) -> Writing:
        reader = Writing(self)
        self._readers.add(reader)
        return reader

    def leave(self, reader: Writing) -> None:
        self._readers.discard(reader)
        if not self._readers and not self.done:
            self.job.cancelled = self.done = True
            self._service.forget(self)

    async def changed(self) -> None:
        """Wait for a piece, or for the end."""
        if self._change is None:
            self._change = self._loop.create_future()
        await asyncio.shield(self._change)

    def hear(self, piece: Piece) -> None:
        """In the scheduler's thread."""
        self._loop.call_soon_threadsafe(self._add, piece)

    def fail(self, why: str) -> None:
        """In the scheduler's thread."""

        def add() -> None:
            self.failure = why
            self._end()

        self._loop.call_soon_threadsafe(add)

    def _add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        if piece.finish_reason:
            self._end()
        self._wake()

    def _end(self) -> None:
        if not self.done:
            self.done = True
            self._service.forget(self)
        self._wake()

    def _wake(self) -> None:
        if self._change and not self._change.done():
            self._change.set_result(None)
        self._change = None
