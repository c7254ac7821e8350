"""The web application: every contract's routes, the key, the limits."""

import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chaku.serve import openai, page, status
from chaku.serve.fields import Refusal
from chaku.serve.http import Contract, error_response
from chaku.serve.models import Served

MAX_BODY = 4_000_000  # bytes of a request's body: a context of a million tokens


@dataclass(frozen=True)
class Access:
    """`key`: what clients must send as `Authorization: Bearer KEY`; None: nothing. `max_body`: bytes of a body."""

    key: str | None = None
    max_body: int = MAX_BODY


def build_app(served: Served, access: Access | None = None, more: Sequence[Contract] = ()) -> Starlette:
    """The application of a model. `more`: contracts beside those for texts."""

    @asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        yield
        await served.service.stop()

    contracts = [page.contract(served), status.contract(served), openai.contract(served), *more]
    app = Starlette(routes=[route for contract in contracts for route in contract.mount()], lifespan=running)
    app.add_middleware(Guard, access or Access(), tuple(_open_paths(contracts)))
    return app


def _open_paths(contracts: Sequence[Contract]) -> list[str]:
    return [path for contract in contracts if not contract.closed for _, path, _ in contract.routes]


class Guard:
    """Refuses requests without the key, and bodies that are too large, before anything reads them."""

    def __init__(self, app: ASGIApp, access: Access, open_paths: tuple[str, ...]):
        self._app, self._access, self._open = app, access, open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope["path"], headers)
        if refusal:
            await error_response(refusal, openai.error_body)(scope, receive, send)
            return
        num_bytes = 0

        async def limited() -> Message:
            nonlocal num_bytes
            message = await receive()
            num_bytes += len(message.get("body", b""))
            if num_bytes > self._access.max_body:
                raise Refusal(413, f"the body is larger than {self._access.max_body:,} bytes")
            return message

        await self._app(scope, limited, send)

    def _refusal(self, path: str, headers: dict[str, str]) -> Refusal | None:
        key = self._access.key
        if key is not None and path not in self._open:
            given = headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), key.encode()):
                return Refusal(401, "this server needs its API key: Authorization: Bearer KEY")
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._access.max_body:
            return Refusal(413, f"the body is larger than {self._access.max_body:,} bytes")
        return None
