"""Runs the server: loads the model, listens, and ends without cutting a text off."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaku.console import say
from chaku.errors import ChakuError
from chaku.serve.listening import listen, url_of

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from chaku.serve.database_settings import Asking
    from chaku.serve.service import TextService
    from chaku.serve.upstream import Kind


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
    databases: tuple[str, ...] = ()
    asking: "Asking | None" = None
    cache_tokens: int | None = None
    allow_hosts: tuple[str, ...] = ()
    max_body: int | None = None
    ssl: tuple[Path, Path] | None = None  # certificate, key
    upstream: str | None = None
    upstream_kind: "Kind" = "vllm"
    upstream_model: str | None = None


def run(model: str, loading: dict[str, Any], settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Raises ChakuError when the port is taken, or open to others without a key."""
    try:
        from chaku.serve import sql
        from chaku.serve.app import MAX_BODY, Access, build_app
    except ModuleNotFoundError as error:
        raise ChakuError(f"serving needs {error.name}: pip install 'chaku[serve]'") from None
    from chaku.checkpoint.find import find_checkpoint
    from chaku.inference.load import load_engine
    from chaku.serve.databases import Databases, from_service, open_databases
    from chaku.serve.models import Served
    from chaku.serve.service import Service, TextService

    # Before the model is loaded: a taken port, or a database that is not there, is told at once.
    listening = listen(settings.host, settings.port, settings.api_key)
    opened = open_databases(settings.databases)
    path = find_checkpoint(model)
    service: TextService
    if settings.upstream:
        service = _upstream(path, settings.upstream, settings)
    else:
        service = Service(
            load_engine(path, adapters=settings.adapters, **loading),
            max_rows=settings.rows,
            max_waiting=settings.queue,
            guess=settings.guess,
            cache_tokens=settings.cache_tokens,
        )
    name = settings.name or Path(model).name
    databases = Databases(opened, from_service(service, path), settings.asking) if opened else None
    more = [sql.contract(databases)] if databases else []
    access = Access(settings.api_key, settings.max_body or MAX_BODY, settings.allow_hosts)
    app = build_app(Served(service, name, databases=databases), access, more)
    url = url_of(listening)
    say(f"{name} answers at {url.replace('http:', 'https:') if settings.ssl else url}")
    http_server(app, patience=30, ssl=settings.ssl).run(sockets=[listening])


def _upstream(path: Path, url: str, settings: Settings) -> "TextService":
    """The service that asks another server. Raises ChakuError when that server does not answer."""
    import asyncio
    import os

    from chaku.checkpoint.formats import open_checkpoint
    from chaku.inference.reader import PromptReader
    from chaku.serve.upstream import Upstream, first_model
    from chaku.tokens.load import load_tokenizer

    key = os.environ.get("OPENAI_API_KEY")
    model = settings.upstream_model or asyncio.run(first_model(url, key))
    reader = PromptReader(open_checkpoint(path).config, load_tokenizer(path))
    return Upstream(reader, url, settings.upstream_kind, model, max_waiting=settings.queue, key=key)


def http_server(app: "ASGIApp", patience: int, ssl: tuple[Path, Path] | None = None) -> "uvicorn.Server":
    """A server that ends in good order after SIGINT or SIGTERM: requests have `patience` seconds to end.

    `ssl`: the files of a certificate and its key.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=patience,
        server_header=False,
        ssl_certfile=ssl[0] if ssl else None,
        ssl_keyfile=ssl[1] if ssl else None,
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
