"""Runs the server: loads the model, listens, and ends without cutting a text off."""

import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaku.console import say
from chaku.errors import ChakuError
from chaku.serve.addresses import is_loopback


@dataclass(frozen=True)
class Settings:
    """What the command line says; see `chaku serve --help`."""

    host: str = "127.0.0.1"
    port: int = 8012
    api_key: str | None = None
    rows: int = 32
    queue: int = 256
    name: str | None = None
    adapters: Mapping[str, Path] = field(default_factory=dict)
    guess: bool = True


def run(model: str, loading: dict[str, Any], settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Raises ChakuError when the port is taken, or open to others without a key."""
    try:
        import uvicorn

        from chaku.serve.app import Access, build_app
    except ModuleNotFoundError as error:
        raise ChakuError(f"serving needs {error.name}: pip install 'chaku[serve]'") from None
    from chaku.inference.load import load_engine
    from chaku.serve.models import Served
    from chaku.serve.service import Service

    if settings.api_key is None and not is_loopback(settings.host):
        raise ChakuError(
            f"--host {settings.host} lets other machines ask; give --api-key (or $CHAKU_API_KEY), or leave --host out"
        )
    listening = listen(settings.host, settings.port)  # before the model is loaded: a taken port is told at once
    engine = load_engine(model, adapters=settings.adapters, **loading)
    service = Service(engine, max_rows=settings.rows, max_waiting=settings.queue, guess=settings.guess)
    name = settings.name or Path(model).name
    app = build_app(Served(service, name), Access(settings.api_key))
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=30, server_header=False
    )
    host, port = listening.getsockname()[:2]
    say(f"{name} answers at http://{f'[{host}]' if ':' in host else host}:{port}")

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

    Server(config).run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
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
