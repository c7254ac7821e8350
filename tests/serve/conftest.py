"""A served tiny model: in process through Starlette's test client, or on a real port."""

import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

pytest.importorskip("starlette", reason="without chaku[serve] the server is NOT tested")
import uvicorn
from starlette.testclient import TestClient

from chaku.inference.engine import Engine
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.serve.app import Access, build_app
from chaku.serve.models import Served
from chaku.serve.run import listen
from chaku.serve.service import Service
from chaku.tokens.tokenizer_training import train_tokenizer


@pytest.fixture(scope="session")
def engine():
    """Untrained, with Code Llama's infilling tokens."""
    texts = ["def add(a, b):\n    return a + b ☺ für\n", "for x in range(10):\n    print(x)\n"]
    tokenizer = train_tokenizer(texts, 310)
    torch.manual_seed(1)
    model = Llama(replace(PRESETS["tiny"], max_position_embeddings=256))
    with torch.no_grad():
        model.lm_head.weight.mul_(20)  # clear winners: batches may differ in the last bit
    return Engine(model.eval(), tokenizer)


@pytest.fixture
def client(engine):
    """Requests to the whole application, without a network."""
    with TestClient(build_app(Served(Service(engine), "tiny")), raise_server_exceptions=False) as client:
        yield client


@contextmanager
def on_a_port(app):
    """The application on a real port of this machine; yields its URL."""
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def url(engine):
    with on_a_port(build_app(Served(Service(engine), "tiny"), Access())) as address:
        yield address


@pytest.fixture
def served_at():
    """`on_a_port`, for tests with an application of their own."""
    return on_a_port
