"""Runs the MCP server: loads the model, or connects to it, and talks over standard input and output, or over HTTP."""

import asyncio
import socket
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chaku.console import say
from chaku.errors import ChakuError
from chaku.serve.listening import is_loopback, listen, url_of
from chaku.serve.run import http_server

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer
    from starlette.applications import Starlette

    from chaku.serve.database_settings import Asking, Connect
    from chaku.serve.service import Service
    from chaku.sql.execute.database import Database

PATIENCE = 5  # seconds that requests have to end: a client's open stream never ends by itself


@dataclass(frozen=True)
class ModelHere:
    """A model of this machine; `loading`: arguments of `load_engine`."""

    name: str
    loading: dict[str, Any]

    def connect(self) -> "tuple[Connect, Service | None]":
        from chaku.checkpoint.find import find_checkpoint
        from chaku.inference.load import load_engine
        from chaku.serve.databases import from_service
        from chaku.serve.service import Service

        path = find_checkpoint(self.name)
        service = Service(load_engine(path, **self.loading))
        return from_service(service, path), service


@dataclass(frozen=True)
class ModelThere:
    """A model behind an endpoint; `patience`: seconds for an answer."""

    url: str
    name: str
    patience: float

    def connect(self) -> "tuple[Connect, Service | None]":
        from chaku import api

        model = api.connect(self.url, self.name, chat=True, patience=self.patience)
        return lambda loop: model, None


@dataclass(frozen=True)
class Listening:
    """Where the server listens. `api_key`: what clients must send; None only on this machine's own addresses."""

    host: str
    port: int
    api_key: str | None


def run(named: Sequence[str], model: ModelHere | ModelThere, asking: "Asking", listening: Listening | None) -> None:
    """Serve until the client leaves, or with `listening` until SIGINT or SIGTERM; without it on standard input.

    `named`: see `open_databases`. Raises ChakuError for what is wrong before the first request.
    """
    try:
        import mcp  # noqa: F401
    except ModuleNotFoundError as error:
        raise ChakuError(f"MCP needs {error.name}: pip install 'chaku[mcp]'") from None
    from chaku.serve.databases import open_databases

    opened = open_databases(named)
    listener = listen(listening.host, listening.port, listening.api_key) if listening else None
    with redirect_stdout(sys.stderr):  # standard output belongs to the protocol
        connect, service = model.connect()
    asyncio.run(_serve(opened, connect, service, asking, listening, listener))


async def _serve(
    opened: "dict[str, Database]",
    connect: "Connect",
    service: "Service | None",
    asking: "Asking",
    listening: Listening | None,
    listener: socket.socket | None,
) -> None:
    from chaku.serve.databases import Databases
    from chaku.serve.mcp_server import build_server

    databases = Databases(opened, connect, asking)
    server = build_server(databases)
    try:
        if listening is None or listener is None:
            await server.run_stdio_async()
        else:
            say(f"MCP answers at {url_of(listener)}/mcp")
            await http_server(http_app(server, listening), PATIENCE).serve(sockets=[listener])
    finally:
        await databases.close()
        if service:
            await service.stop()


def http_app(server: "MCPServer", where: Listening) -> "Starlette":
    """The application that answers at /mcp."""
    from mcp.server.transport_security import TransportSecuritySettings

    from chaku.serve.app import Access, Guard

    # A page of another site may resolve its own name to this machine: only this machine's names are taken.
    names = [f"{name}:*" for name in (where.host, "127.0.0.1", "localhost", "[::1]")]
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=is_loopback(where.host),
        allowed_hosts=names,
        allowed_origins=[f"http://{name}" for name in names],
    )
    app = server.streamable_http_app(transport_security=security)
    app.add_middleware(Guard, Access(where.api_key), ())
    return app
