"""A checkpoint and a server answer alike: texts in order, tokens counted, the same for the same seed."""

from pathlib import Path

import pytest
import torch

from chaku.inference.endpoint import Endpoint
from chaku.inference.engine import Engine
from chaku.instruct.asks import Ask, answer
from chaku.instruct.evidence import KEPT
from chaku.instruct.questions import Question
from chaku.instruct.synthesize import synthesize
from chaku.instruct.triples import Settings
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.tokens.tokenizer_training import train_tokenizer
from endpoint_server import Server
from inference.test_endpoint import server  # noqa: F401
from instruct.conftest import QUESTIONS, Played

ADD = next(iter(QUESTIONS))


@pytest.fixture(scope="module")
def engine() -> Engine:
    torch.manual_seed(0)
    return Engine(Llama(PRESETS["tiny"]).eval(), train_tokenizer(["def add(a, b):\n    return a + b\n"], 280))


def test_what_an_engine_writes_depends_on_the_ask_alone(engine: Engine) -> None:
    asks = [Ask("solutions", f"def f{n}", 3, 8, seed=n) for n in (1, 1, 2)] + [Ask("tests", "def f1", 3, 8, seed=1)]
    one, same, other, kind = answer(engine, asks)
    assert one == same == kind
    assert one != other
    assert [answer(engine, [ask])[0] for ask in asks] == [one, same, other, kind]
    assert len({reply.text for reply in one}) == 3
    assert all(1 <= reply.num_tokens <= 8 for reply in one)
    assert set(engine.identity) == {"model_sha256", "tokenizer_sha256"}


@pytest.mark.parametrize("chat", [False, True])
def test_a_server_makes_triples(tmp_path: Path, server: Server, chat: bool) -> None:  # noqa: F811
    played = Played()

    def reply(request: dict) -> dict:
        prompt = request["messages"][0]["content"] if chat else request["prompt"]
        kind = "tests" if "Write unit tests" in prompt else "solutions"
        number = request["seed"]
        text, _ = played.write(kind, prompt, number, 4)
        choice = {"message": {"content": f"[PYTHON]\n{text}"}} if chat and kind == "solutions" else {"text": text}
        choice = {"message": {"content": text}} if chat and kind == "tests" else choice
        return {"choices": [choice], "usage": {"completion_tokens": 7}}

    server.answer = reply
    server.troubles += [503]
    generator = Endpoint(server.url, "m", chat)
    summary = synthesize(tmp_path / "l.sqlite", generator, Settings(num_solutions=4), questions=[Question(ADD, "here")])
    assert summary.funnel[KEPT] == 1
    assert summary.num_tokens == 5 * 7
    assert {path.rpartition("/v1/")[2] for path in server.paths} == {"chat/completions" if chat else "completions"}
    assert sorted(request["seed"] for request in server.requests[1:]) == [0, 0, 1, 2, 3]
    assert server.requests[-1]["stop"] == ["[/PYTHON]"]
