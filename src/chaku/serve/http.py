"""What all contracts share: reading a body, streams, and errors in the contract's own form."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from chaku.console import warn
from chaku.errors import ChakuError
from chaku.serve.fields import Fields, Refusal
from chaku.serve.service import BusyError, FailedError, StoppingError

RETRY_SECONDS = 1  # what Retry-After says when the queue is full
MAX_DEPTH = 64  # of a JSON body
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)  # of JSON, perhaps without its end
_LEVELS = np.zeros(256, np.int8)  # by a byte: how much deeper it leads
_LEVELS[list(b"[{")], _LEVELS[list(b"]}")] = 1, -1

Handler = Callable[[Request], Awaitable[Response]]
ErrorBody = Callable[[Refusal], Any]


@dataclass(frozen=True)
class Contract:
    """The routes of one API. `error_body`: how it writes an error. `closed`: whether the routes need the API key.

    `stop`: called when the server stops, while the model still writes.
    """

    routes: Sequence[tuple[str, str, Handler]]  # method, path, handler
    error_body: ErrorBody
    closed: bool = True
    stop: Callable[[], Awaitable[None]] | None = None

    def mount(self) -> list[BaseRoute]:
        return [Route(path, self._guarded(handler), methods=[method]) for method, path, handler in self.routes]

    def _guarded(self, handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except Exception as error:
                if isinstance(error, ClientDisconnect):
                    return Response(status_code=499)  # nobody reads it
                return error_response(refusal_of(error), self.error_body)

        return answer


def refusal_of(error: Exception) -> Refusal:
    """The refusal that an exception is for a client."""
    match error:
        case Refusal():
            return error
        case ChakuError():
            return Refusal(400, str(error))
        case FailedError():
            return Refusal(502, str(error))
        case BusyError():
            return Refusal(429, "too many requests wait; ask again in a moment")
        case StoppingError():
            return Refusal(503, "the server is stopping")
    warn(f"a request failed: {type(error).__name__}: {error}")
    return Refusal(500, "the server failed on this request; its log has the reason")


def error_response(refusal: Refusal, error_body: ErrorBody) -> Response:
    headers = {"Retry-After": str(RETRY_SECONDS)} if refusal.status in (429, 503) else {}
    return json_response(error_body(refusal), refusal.status, headers)


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Compact JSON on one line: llama.vim looks for `"content":"` in it."""
    return Response(dumps(value), status, headers, media_type="application/json")


def dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


async def read_fields(request: Request) -> Fields:
    """The JSON object of a request's body, whatever its Content-Type says. Raises Refusal."""
    body = await request.body()
    if _depth(body) > MAX_DEPTH:  # the parser recurses, and a body of brackets would exhaust its stack
        raise Refusal(400, f"the body is nested deeper than {MAX_DEPTH} levels")
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
        return Fields(_without_surrogates(value) if rb"\ud" in body.lower() else value)
    except UnicodeDecodeError as error:
        raise Refusal(400, f"the body is not UTF-8: {error.reason} at byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is not JSON: {error}") from None


def _depth(body: bytes) -> int:
    """How deep a JSON body is nested; brackets in its strings do not count."""
    outside = np.frombuffer(_STRING.sub(b"", body), np.uint8)
    return int(_LEVELS[outside].cumsum(dtype=np.int32).max(initial=0))


def _without_surrogates(value: Any) -> Any:
    """JSON may spell half a surrogate pair, which no text has: a question mark takes its place."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case list():
            return [_without_surrogates(item) for item in value]
        case dict():
            return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


async def unless_gone(request: Request, work: Awaitable[Any]) -> Any:
    """The result of `work`, which is cancelled when the client goes away. Raises ClientDisconnect."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _gone(request: Request) -> None:
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return


async def streamed(
    request: Request, events: AsyncIterator[bytes], media_type: str, failed: Callable[[Refusal], bytes] | None = None
) -> Response:
    """A response that sends `events` as they come. An error before the first event becomes an ordinary error response.

    A client may leave before the first event, too: its request waits in the queue, or its prompt is long.
    `failed`: the event that reports an error after the first one; None: the stream only ends.
    """
    first = await unless_gone(request, anext(events, None))

    async def rest() -> AsyncIterator[bytes]:
        try:
            if first is not None:
                yield first
            async for event in events:
                yield event
        except Exception as error:
            if failed:
                yield failed(refusal_of(error))
        finally:
            await events.aclose()  # type: ignore[attr-defined]

    return StreamingResponse(rest(), media_type=media_type, headers={"Cache-Control": "no-cache"})


def server_sent(value: Any) -> bytes:
    """A server-sent event with JSON."""
    return b"data: " + dumps(value) + b"\n\n"
