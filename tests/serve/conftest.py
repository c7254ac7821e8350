"""A served tiny model: in process through Starlette's test client, or on a real port."""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("starlette", reason="without chaku[serve] the server is NOT tested")
from starlette.testclient import TestClient

from asked_databases import Script
from chaku.inference.engine import Engine
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.serve.app import Access, build_app
from chaku.serve.models import Served
from chaku.serve.service import Service, TextService
from chaku.tokens.byte_level import ByteLevelTokenizer
from chaku.tokens.templates import BUILTIN
from chaku.tokens.tokenizer_training import train_tokenizer
from serve.ports import on_a_port
from shop_database import make_shop
from tokens import families


@pytest.fixture(scope="session")
def engine():
    """Untrained, with Code Llama's infilling tokens."""
    return untrained_engine(256)


@pytest.fixture(scope="session")
def roomy_engine():
    """As `engine`, with room for a schema."""
    return untrained_engine(4096)


def untrained_engine(context):
    texts = ["def add(a, b):\n    return a + b ☺ für\n", "for x in range(10):\n    print(x)\n"]
    tokenizer = train_tokenizer(texts, 310)
    torch.manual_seed(1)
    model = Llama(replace(PRESETS["tiny"], max_position_embeddings=context))
    with torch.no_grad():
        model.lm_head.weight.mul_(20)  # clear winners: batches may differ in the last bit
    return Engine(model.eval(), tokenizer)


@pytest.fixture(scope="session")
def qwen():
    """Untrained, with Qwen's infilling and repository tokens, and a chat template."""
    tokenizer = ByteLevelTokenizer(*families.make("qwen2.5-coder"))
    tokenizer = tokenizer.with_chat_template(BUILTIN["chatml"].text)
    torch.manual_seed(2)
    model = Llama(replace(PRESETS["tiny"], max_position_embeddings=256))
    with torch.no_grad():
        model.lm_head.weight.mul_(20)
    return Engine(model.eval(), tokenizer)


@pytest.fixture
def homes(tmp_path, monkeypatch):
    """Nothing that is kept for a user's databases is the user's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def shop(tmp_path, homes):
    """The path of a small database."""
    return make_shop(tmp_path / "shop.sqlite")


@pytest.fixture
def script(roomy_engine):
    """A model that answers questions to databases with what a test says."""
    return Script(roomy_engine)


@pytest.fixture
def asked(monkeypatch):
    """The requests that the contracts made of what clients sent."""
    requests = []
    ask = TextService.ask

    def remember(self, request, num_top=None):
        requests.append(request)
        return ask(self, request, num_top)

    monkeypatch.setattr(TextService, "ask", remember)
    return requests


@pytest.fixture
def client(engine):
    """Requests to the whole application, without a network."""
    with TestClient(build_app(Served(Service(engine), "tiny")), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def qwen_client(qwen):
    with TestClient(build_app(Served(Service(qwen), "qwen")), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def served_at():
    """`on_a_port`, for other applications."""
    return on_a_port


@pytest.fixture
def url(engine):
    with on_a_port(build_app(Served(Service(engine), "tiny"), Access())) as address:
        yield address


@pytest.fixture
def qwen_url(qwen):
    with on_a_port(build_app(Served(Service(qwen), "qwen"), Access())) as address:
        yield address


@pytest.fixture
def url_of():
    """A function: the URL, as a context, of any served model."""
    return lambda served: on_a_port(build_app(served, Access()))
