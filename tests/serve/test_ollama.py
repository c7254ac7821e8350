"""Ollama's API, asked by Ollama's own client and with the bodies that editors send."""

import json

import ollama
import pytest

from chaku.inference.generator import ChatPrompt, InfillPrompt, Request, SamplingParams, TextPrompt
from chaku.serve.models import is_open
from chaku.tokens.chat import Message

GREEDY = {"temperature": 0, "num_predict": 12, "num_ctx": 4096}


@pytest.fixture
def ask(url):
    with ollama.Client(host=url) as client:
        yield client


@pytest.fixture
def chat(qwen_url):
    with ollama.Client(host=qwen_url) as client:
        yield client


def text_of(engine, prompt, **params):
    params = {"healing": is_open(prompt)} | params
    return engine.answer([Request(prompt, SamplingParams(**params))])[0].text


def test_generate(ask, engine):
    done = ask.generate(model="tiny", prompt="def ", options=GREEDY, keep_alive="5m")
    assert done.response == text_of(engine, TextPrompt("def "), max_tokens=12)
    assert (done.done, done.done_reason, done.eval_count) == (True, "length", 12)
    assert done.prompt_eval_count == len(engine.read(Request(TextPrompt("def "), SamplingParams())).ids)
    assert 0 < done.prompt_eval_duration + done.eval_duration <= done.total_duration < 60e9


def test_generate_streams(ask, engine):
    parts = list(ask.generate(model="tiny", prompt="def ", options=GREEDY, stream=True))
    assert "".join(part.response for part in parts) == text_of(engine, TextPrompt("def "), max_tokens=12)
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1].eval_count == 12
    assert parts[0].eval_count is None


def test_a_suffix_is_the_text_after_a_hole(ask, engine, asked):
    done = ask.generate(model="any", prompt="def f", suffix=":\n    pass", options={"num_predict": 8, "stop": ["x"]})
    prompt = InfillPrompt("def f", ":\n    pass", window=True)
    assert asked == [Request(prompt, SamplingParams(8, top_p=0.9, top_k=40, stop=("x",), healing=True))]
    assert done.response == engine.answer(asked)[0].text


def test_raw_prompts(ask, asked):
    for text in ("<PRE> a <SUF>b <MID>", "<fim_prefix>a<fim_suffix>b<fim_middle>", ""):
        ask.generate(model="tiny", prompt=text, raw=True, options={"num_predict": 2})
    assert [request.prompt for request in asked] == [
        InfillPrompt("a", "b", window=True),
        TextPrompt("<fim_prefix>a<fim_suffix>b<fim_middle>"),
        TextPrompt(""),
    ]


def test_a_chat(chat, qwen):
    messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hello"}]
    prompt = ChatPrompt((Message("system", "Be short."), Message("user", "Hello")))
    expected = text_of(qwen, prompt, max_tokens=12)
    done = chat.chat(model="qwen", messages=messages, options=GREEDY)
    assert (done.message.role, done.message.content, done.done_reason) == ("assistant", expected, "length")
    parts = list(chat.chat(model="qwen", messages=messages, options=GREEDY, stream=True))
    assert "".join(part.message.content for part in parts) == expected
    same = chat.generate(model="qwen", prompt="Hello", system="Be short.", options=GREEDY)
    assert same.response == expected


def test_formats(chat):
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    schema["additionalProperties"] = False
    hello = [{"role": "user", "content": "Hello"}]
    done = chat.chat(model="qwen", messages=hello, format=schema, options={"num_predict": 30})
    assert isinstance(json.loads(done.message.content)["a"], bool)
    assert chat.generate(model="qwen", prompt="x", format="json", options=GREEDY).response.startswith("{")


def test_what_is_served(ask, chat, engine):
    [model] = ask.list().models
    assert model.model == "tiny"
    assert model.size == engine.decoder.weights_bytes()
    assert len(model.digest) == 64
    about = ask.show("tiny")
    assert about.capabilities == ["completion", "insert"]
    assert about.modelinfo["llama.context_length"] == 256
    assert about.details.family == "llama"
    assert "im_start" in chat.show("qwen").template
    assert ask.ps().models[0].context_length == 256


def test_bodies_of_editors(client, asked):
    version = client.get("/api/version").json()["version"]
    assert tuple(map(int, version.split("."))) >= (0, 6, 4)  # VS Code asks for at least this one
    assert client.post("/api/show", json={"name": "tiny"}).json()["capabilities"] == ["completion", "insert"]
    body = {  # Continue's core/llm/llms/Ollama.ts
        "model": "qwen2.5-coder:1.5b-base",
        "prompt": "def f",
        "suffix": "\n",
        "raw": True,
        "options": {"num_predict": 3, "stop": [], "num_ctx": 2048},
        "keep_alive": 1800,
        "stream": True,
    }
    answer = client.post("/api/generate", json=body | {"raw": False})
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[-1]["done_reason"] == "length"
    assert asked[0].prompt == InfillPrompt("def f", "\n", window=True)


def test_an_empty_prompt_loads_and_unloads(ask, chat):
    assert ask.generate(model="tiny").done_reason == "load"
    assert ask.generate(model="tiny", keep_alive=0).done_reason == "unload"
    assert chat.chat(model="qwen", messages=[]).message.content == ""


def test_what_this_server_does_not_do_is_said(ask, chat):
    def tool(name: str) -> str:
        """A tool."""
        return name

    hello = [{"role": "user", "content": "Hello"}]
    for wanted, call in {
        "does not call tools": lambda: chat.chat(model="qwen", messages=hello, tools=[tool]),
        "images must be left out": lambda: ask.generate(model="tiny", prompt="x", images=["AAAA"]),
        "reads only text": lambda: chat.chat(model="qwen", messages=[{**hello[0], "images": ["AAAA"]}]),
        "does not think": lambda: chat.chat(model="qwen", messages=hello, think=True),
        "no chat template": lambda: ask.chat(model="tiny", messages=hello),
        "num_predict must be a whole number": lambda: ask.generate(
            model="tiny", prompt="x", options={"num_predict": "many"}, stream=True
        ).__next__(),
    }.items():
        with pytest.raises(ollama.ResponseError, match=wanted) as caught:
            call()
        assert caught.value.status_code == 400
