"""Runs the server: loads the model, listens, and ends without cutting a text off."""

import ipaddress
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaku.console import say
from chaku.errors import ChakuError

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from chaku.serve.databases import Asking


@dataclass(frozen=True)
class Settings:
    """What the command line says; see `chaku serve --help`."""

    host: str = "127.0.0.1"
    port: int = 8012
    api_key: str | None = None
    rows: int = 32
    queue: int = 256
    name: str | None = None
    guess: bool = True
    databases: tuple[str, ...] = ()
    asking: "Asking | None" = None


def run(model: str, loading: dict[str, Any], settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Raises ChakuError when the port is taken, or open to others without a key."""
    try:
        from chaku.serve import sql
        from chaku.serve.app import Access, build_app
    except ModuleNotFoundError as error:
        raise ChakuError(f"serving needs {error.name}: pip install 'chaku[serve]'") from None
    from chaku.checkpoint.find import find_checkpoint
    from chaku.inference.load import load_engine
    from chaku.serve.databases import Databases, from_service, open_databases
    from chaku.serve.models import Served
    from chaku.serve.service import Service

    # Before the model is loaded: a taken port, or a database that is not there, is told at once.
    listening = listen(settings.host, settings.port, settings.api_key)
    opened = open_databases(settings.databases)
    path = find_checkpoint(model)
    engine = load_engine(path, **loading)
    service = Service(engine, max_rows=settings.rows, max_waiting=settings.queue, guess=settings.guess)
    name = settings.name or Path(model).name
    more = []
    if opened:
        more.append(sql.contract(Databases(opened, from_service(service, path), settings.asking)))
    app = build_app(Served(service, name), Access(settings.api_key), more)
    say(f"{name} answers at {url_of(listening)}")
    http_server(app, patience=30).run(sockets=[listening])


def http_server(app: "ASGIApp", patience: int) -> "uvicorn.Server":
    """A server that ends in good order after SIGINT or SIGTERM: requests have `patience` seconds to end."""
    import uvicorn

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=patience, server_header=False
    )

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """As uvicorn's own, but a signal is not raised again after the server has ended in good order."""
            before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    return Server(config)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def listen(host: str, port: int, api_key: str | None = None) -> socket.socket:
    """A listening socket. Raises ChakuError for a taken port, and for an address open to others without a key."""
    if api_key is None and not is_loopback(host):
        raise ChakuError(
            f"--host {host} lets other machines ask; give --api-key (or $CHAKU_API_KEY), or leave --host out"
        )
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(512)
    except OSError as error:
        raise ChakuError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; give another --port"
        ) from None
    return listening
