"""What writes texts behind a server, for any number of requests that wait: here, an engine in a thread of its own.

Equal requests share one text while it is written. When nobody waits for a text any more, it is cancelled.
"""

import asyncio
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar, TypeVarTuple

from chaku.console import warn
from chaku.errors import ChakuError
from chaku.inference.engine import Engine
from chaku.inference.generator import AnyPrompt, Request
from chaku.inference.prompts import Prompt
from chaku.inference.reader import PromptReader, asked_prompt
from chaku.inference.row import Row
from chaku.inference.scheduler import Job, Piece

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")
READ_BESIDE = 128  # tokens of prompts in a step, while other requests wait for their next token
LAST_TEXTS = 16  # whose speed `Service.speed` tells


class BusyError(Exception):
    """As many requests wait as may wait."""


class FailedError(Exception):
    """What writes the texts has failed; the sentence says how."""


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

    Whoever leaves before the end must call `close`. Raises FailedError, to every reader, when the model fails.
    """

    def __init__(self, shared: "Shared"):
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
                raise FailedError(shared.failure)
            if shared.done:
                raise StopAsyncIteration
            await shared.changed()
        self._at += 1
        return shared.pieces[self._at - 1]

    def close(self) -> None:
        """This reader has enough."""
        self._shared.leave(self)


class TextService(ABC):
    """Writes texts for the requests of an event loop.

    `max_rows`: texts that are written at one time. `max_waiting`: requests that may wait. Not thread-safe but for
    `totals`: `ask` and `stop` belong to one event loop. `heals`, `constrains`: whether it can heal prompts, and
    write under a grammar.
    """

    heals = constrains = True

    def __init__(self, engine: PromptReader, *, max_rows: int, max_waiting: int):
        self.engine, self.max_rows, self.max_waiting = engine, max_rows, max_waiting
        self.totals, self.started = Totals(), time.time()
        self._texts: dict[Any, Shared] = {}
        self._last_texts: deque[tuple[int, float]] = deque(maxlen=LAST_TEXTS)  # tokens after the first, and seconds
        self._last_read: tuple[tuple[AnyPrompt, int, bool], Prompt] | None = None  # samples of a prompt read it once
        self._num_reading = 0  # requests whose prompts are being read
        self._stopping = self._stopped = False
        self._reader = ThreadPoolExecutor(1, "read-prompts")  # tokenizers and grammars: one request at a time

    @property
    @abstractmethod
    def num_running(self) -> int:
        """The texts that are being written."""

    @property
    def num_waiting(self) -> int:
        """The texts that wait to be written."""
        return max(self._num_asked - self.num_running, 0)

    @property
    def _num_asked(self) -> int:
        return len(self._texts) + self._num_reading

    @property
    @abstractmethod
    def cache_use(self) -> tuple[int, int]:
        """(blocks of the cache in use, all blocks)."""

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
        if self._num_asked >= self.max_rows + self.max_waiting:
            self.totals.refused += 1
            raise BusyError
        self._num_reading += 1
        try:
            prompt, request, row = await self.in_reader(self._read, request)
        finally:
            self._num_reading -= 1
        if self._stopped:
            raise StoppingError
        adapter = self.engine.adapter_number(request.adapter)
        self.totals.requests += 1
        key = (prompt, request.params, request.sample, request.grammar, num_top, adapter)
        shared = self._texts.get(key)
        if shared is None or shared.job.cancelled:
            shared = Shared(self, key, loop)
            shared.job = Job(row, shared.hear, num_top, adapter)
            self._texts[key] = shared
            try:
                self.begin(shared, prompt, request)
            except BaseException:
                del self._texts[key]
                raise
        else:
            self.totals.shared += 1
        return shared.join()

    async def in_reader(self, work: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """What a function returns that may take long, in the thread that reads prompts."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, work, *arguments)

    def _read(self, request: Request) -> tuple[Prompt, Request, Row]:
        """The prompt in tokens, the request with the `max_tokens` for which there is room, and the row to write."""
        asked = asked_prompt(request)
        if self._last_read is None or self._last_read[0] != asked:
            self._last_read = (asked, self.engine.read(request))
        prompt = self._last_read[1]
        context = self.longest()
        room = context - len(prompt.ids)
        if room < 1:
            raise ChakuError(f"the prompt has {len(prompt.ids)} tokens; the model reads at most {context - 1}")
        if request.params.max_tokens > room:
            request = replace(request, params=replace(request.params, max_tokens=room))
        return prompt, request, self.engine.row(prompt, request.params, request.sample, request.grammar)

    def longest(self) -> int:
        """Tokens of the longest text, prompt included."""
        return self.engine.context

    @abstractmethod
    def begin(self, shared: "Shared", prompt: Prompt, request: Request) -> None:
        """Begin to write a text. Raises ChakuError for a request that this service cannot answer."""

    def cancel(self, shared: "Shared") -> None:
        """Nobody waits for a text any more."""
        shared.job.cancelled = True
        self.totals.cancelled += 1

    async def stop(self, seconds: float = 30.0) -> None:
        """Take no more requests, and end when all texts are written, or after so many seconds."""
        self._stopping = True
        ends = time.monotonic() + seconds
        while self._num_asked and time.monotonic() < ends:
            await asyncio.sleep(0.05)
        self._stopped = True
        for shared in list(self._texts.values()):
            self.cancel(shared)
            shared.fail("the server has stopped")
        await self.end()
        await asyncio.to_thread(self._reader.shutdown, cancel_futures=True)

    @abstractmethod
    async def end(self) -> None:
        """Free what the service holds."""

    def forget(self, shared: "Shared") -> None:
        """A text is written, or nobody waits for it."""
        if self._texts.get(shared.key) is shared:
            del self._texts[shared.key]
        job, totals = shared.job, self.totals
        totals.prompt_tokens += job.num_prompt
        totals.cached_tokens += job.num_prompt_cached
        totals.written_tokens += len(job.row.ids)
        totals.guessed_tokens += job.num_guessed
        totals.right_guesses += job.num_right
        if job.read and len(job.row.ids) > 1:
            self._last_texts.append((len(job.row.ids) - 1, time.monotonic() - job.read))


class Service(TextService):
    """Writes texts with an engine of this process. `guess`: see `Scheduler`; `cache_tokens`: `new_scheduler`."""

    def __init__(
        self,
        engine: Engine,
        *,
        max_rows: int = 32,
        max_waiting: int = 256,
        guess: bool = True,
        cache_tokens: int | None = None,
    ):
        super().__init__(engine, max_rows=max_rows, max_waiting=max_waiting)
        self._scheduler = engine.new_scheduler(
            max_rows=max_rows, cache_tokens=cache_tokens, guess=guess, read_beside=READ_BESIDE
        )
        self._inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    @property
    def num_running(self) -> int:
        return len(self._scheduler.running)

    @property
    def cache_use(self) -> tuple[int, int]:
        cache = self._scheduler.cache
        return cache.num_blocks - cache.num_available, cache.num_blocks

    def longest(self) -> int:
        return min(self.engine.context, self._scheduler.max_tokens)

    def begin(self, shared: "Shared", prompt: Prompt, request: Request) -> None:
        self._inbox.put(shared.job)

    async def end(self) -> None:
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)

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
                busy = False
                for job in self._scheduler.reset():
                    job.cancelled = True
                    for shared in list(self._texts.values()):
                        if shared.job is job:
                            shared.fail("the model failed; ask again")


class Shared:
    """A text, and those who wait for it. `hear` and `fail` may be called from any thread."""

    job: Job

    def __init__(self, service: TextService, key: Any, loop: asyncio.AbstractEventLoop):
        self._service, self.key, self._loop = service, key, loop
        self.pieces: list[Piece] = []
        self.done, self.failure = False, ""
        self._readers: set[Writing] = set()
        self._change: asyncio.Future[None] | None = None

    def join(self) -> Writing:
        """One more reader."""
        reader = Writing(self)
        self._readers.add(reader)
        return reader

    def leave(self, reader: Writing) -> None:
        """One reader less; the text of the last one is cancelled."""
        self._readers.discard(reader)
        if not self._readers and not self.done:
            self.done = True
            self._service.cancel(self)
            self._service.forget(self)

    async def changed(self) -> None:
        """Wait for a piece, or for the end."""
        if self._change is None:
            self._change = self._loop.create_future()
        await asyncio.shield(self._change)

    def hear(self, piece: Piece) -> None:
        """A new piece."""
        self._loop.call_soon_threadsafe(self._add, piece)

    def fail(self, why: str) -> None:
        """The text cannot be written to its end."""
        self._loop.call_soon_threadsafe(self._fail, why)

    def _add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        if piece.finish_reason:
            self._end()
        self._wake()

    def _fail(self, why: str) -> None:
        self.failure = why
        self._end()
        self._wake()

    def _end(self) -> None:
        if not self.done:
            self.done = True
            self._service.forget(self)

    def _wake(self) -> None:
        if self._change and not self._change.done():
            self._change.set_result(None)
        self._change = None
