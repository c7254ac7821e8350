"""The web application: every contract's routes, the key, the limits."""

import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chaku.serve import llama_cpp, metrics, mistral, ollama, openai, page, status, tabby
from chaku.serve.fields import Refusal
from chaku.serve.http import Contract, error_response
from chaku.serve.listening import is_loopback
from chaku.serve.models import Served

MAX_BODY = 4_000_000  # bytes of a request's body: a context of a million tokens


@dataclass(frozen=True)
class Access:
    """`key`: what clients must send as `Authorization: Bearer KEY`; None: nothing. `max_body`: bytes of a body.

    `hosts`: without a key, the names by which clients may call the server, beside this machine's own: a page of the web
    must not reach the server under a name of its own. None: any name.
    """

    key: str | None = None
    max_body: int = MAX_BODY
    hosts: tuple[str, ...] | None = None


def build_app(served: Served, access: Access | None = None, more: Sequence[Contract] = ()) -> Starlette:
    """The application of a model. `more`: contracts beside those for texts."""

    @asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        yield
        for contract in contracts:
            if contract.stop:
                await contract.stop()
        await served.service.stop()

    texts = [module.contract(served) for module in (openai, llama_cpp, mistral, ollama, tabby)]
    about = [page.contract(served), status.contract(served), llama_cpp.health(served), metrics.contract(served)]
    contracts = [*about, *texts, *more]
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
            scheme, _, given = headers.get("authorization", "").partition(" ")
            given = given if scheme.lower() == "bearer" else ""
            if not hmac.compare_digest(given.encode("latin-1"), key.encode()):
                return Refusal(401, "this server needs its API key: Authorization: Bearer KEY")
        host = headers.get("host", "")
        if key is None and self._access.hosts is not None and not _is_own(host, self._access.hosts):
            return Refusal(403, f"this server is not called {host!r}; start it with --allow-host {_name(host)}")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return Refusal(403, f"pages of {origin} may not ask this server")
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._access.max_body:
            return Refusal(413, f"the body is larger than {self._access.max_body:,} bytes")
        return None


def _name(host: str) -> str:
    """A Host header without the port."""
    return host.rpartition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


def _is_own(host: str, allowed: tuple[str, ...]) -> bool:
    name = _name(host)
    return name in ("localhost", *allowed) or is_loopback(name.strip("[]"))
