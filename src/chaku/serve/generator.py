"""The texts of a running service for a thread beside the event loop: questions share its batch, cache and queue."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from chaku.inference.generator import Completion, Request
from chaku.serve.service import TextService

if TYPE_CHECKING:
    from chaku.tokens.tokenizer import Tokenizer


class ServiceGenerator:
    """Asks a service whose event loop is `loop`; implements `Generator`. Call `answer` from any other thread.

    Unlike an engine, it refuses a prompt that is longer than the context.
    """

    num_threads = 32  # samples of a question that are written at one time
    num_rows = 1

    def __init__(self, service: TextService, loop: asyncio.AbstractEventLoop):
        self._service, self._loop = service, loop
        self._pending: set[Future[list[Completion]]] = set()

    @property
    def tokenizer(self) -> "Tokenizer":
        return self._service.engine.tokenizer

    @property
    def constrains(self) -> bool:
        """Whether it writes under a grammar."""
        return self._service.constrains

    @property
    def context(self) -> int:
        return self._service.engine.context

    @property
    def identity(self) -> Mapping[str, Any]:
        return self._service.engine.identity

    @property
    def record(self) -> Mapping[str, Any]:
        return self._service.engine.record

    def check(self, request: Request) -> None:
        self._service.engine.check(request)

    def answer(self, requests: Sequence[Request]) -> list[Completion]:
        """The completions, in order. Raises what `TextService.ask` raises, and CancelledError after `interrupt`."""
        pending = asyncio.run_coroutine_threadsafe(self._write_all(requests), self._loop)
        self._pending.add(pending)
        try:
            return pending.result()
        finally:
            self._pending.discard(pending)

    def interrupt(self) -> None:
        """End the texts that are being written. Whoever waits for them gets CancelledError."""
        for pending in list(self._pending):
            pending.cancel()

    async def _write_all(self, requests: Sequence[Request]) -> list[Completion]:
        tasks = [asyncio.ensure_future(self._write(request)) for request in requests]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _write(self, request: Request) -> Completion:
        writing = await self._service.ask(request)
        try:
            pieces = [piece async for piece in writing]
        finally:
            writing.close()
        # Not the row's own completion: the row of a text that another server writes is empty.
        text, num_tokens = "".join(piece.text for piece in pieces), sum(piece.num_tokens for piece in pieces)
        row, reason = writing.job.row, pieces[-1].finish_reason
        return Completion(text, num_tokens, "stop" if reason == "stop" else "length", tuple(row.ids), row.tokens_cut)
