"""A client that reads nothing of its stream does not hold its connection and its text for ever."""

import asyncio
import socket
import threading
from contextlib import contextmanager

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from chaku.serve.http import streamed

pytestmark = pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux ends a stalled connection")
PIECE = b"x" * 65_536


@contextmanager
def stream_without_end(served_at, stalled):
    """Yields the address of a stream that never ends, and two events: it was begun, it was closed."""
    begun, ended = threading.Event(), threading.Event()

    async def events():
        try:
            while True:
                yield PIECE
                begun.set()
                await asyncio.sleep(0)
        finally:
            ended.set()

    async def stream(request):
        return await streamed(request, events(), "text/plain")

    with served_at(Starlette(routes=[Route("/", stream)]), stalled=stalled) as url:
        yield ("127.0.0.1", int(url.rpartition(":")[2])), begun, ended


def test_a_client_that_stops_reading_loses_its_connection(served_at):
    stream = stream_without_end(served_at, stalled=0.5)
    with stream as (address, begun, ended), socket.create_connection(address, timeout=60) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1000)
        assert begun.wait(60)
        assert ended.wait(60)  # the client is still there, and reads nothing
