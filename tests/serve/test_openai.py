"""OpenAI's API, asked by OpenAI's own client: what it gets is what the engine writes."""

import json
import math
import time

import openai
import pydantic
import pytest
import torch

from chaku.inference.generator import ChatPrompt, InfillPrompt, Request, SamplingParams, TextPrompt
from chaku.inference.scheduler import Scheduler
from chaku.serve.app import Access, build_app
from chaku.serve.models import Served, is_open
from chaku.serve.service import Service
from chaku.tokens.chat import Message
from serve.ports import on_a_port

HELLO = [{"role": "user", "content": "Hello"}]


def client_of(url, key="", **settings):
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key or "none", max_retries=0, timeout=60, **settings)


@pytest.fixture
def ask(url):
    with client_of(url) as client:
        yield client


@pytest.fixture
def chat(qwen_url):
    with client_of(qwen_url) as client:
        yield client


def text_of(engine, prompt, sample=0, **params):
    params = {"healing": is_open(prompt)} | params
    [completion] = engine.answer([Request(prompt, SamplingParams(**params), sample)])
    return completion.text


def test_models(ask):
    assert [model.id for model in ask.models.list()] == ["tiny"]
    assert ask.models.retrieve("tiny").owned_by == "chaku"
    with pytest.raises(openai.NotFoundError, match="there is no model 'other'"):
        ask.models.retrieve("other")


def test_a_completion(ask, engine):
    done = ask.completions.create(model="tiny", prompt="def ", max_tokens=12, temperature=0)
    assert (done.object, done.model, done.choices[0].index) == ("text_completion", "tiny", 0)
    assert done.choices[0].text == text_of(engine, TextPrompt("def "), max_tokens=12)
    assert done.choices[0].finish_reason == "length"
    assert done.choices[0].logprobs is None
    num_prompt = len(engine.read(Request(TextPrompt("def "), SamplingParams())).ids)
    assert (done.usage.prompt_tokens, done.usage.completion_tokens) == (num_prompt, 12)
    assert done.usage.total_tokens == num_prompt + 12


def test_a_suffix_is_the_text_after_a_hole(ask, engine, asked):
    done = ask.completions.create(model="", prompt="def add(", suffix=":\n    pass", max_tokens=12, temperature=0)
    assert asked[0].prompt == InfillPrompt("def add(", ":\n    pass", window=True)
    assert done.choices[0].text == text_of(engine, asked[0].prompt, max_tokens=12)


def test_several_prompts_and_samples(ask, engine):
    settings = {"max_tokens": 8, "temperature": 0.9, "seed": 7, "top_p": 0.9}
    done = ask.completions.create(model="tiny", prompt=["x ", "for "], n=2, **settings)
    expected = [text_of(engine, TextPrompt(text), sample, **settings) for text in ("x ", "for ") for sample in range(2)]
    assert [(choice.index, choice.text) for choice in done.choices] == list(enumerate(expected))
    again = ask.completions.create(model="tiny", prompt=["x ", "for "], n=2, **settings)
    assert [choice.text for choice in again.choices] == expected
    others = ask.completions.create(model="tiny", prompt="x ", n=2, max_tokens=30)
    assert others.choices[0].text != others.choices[1].text


def test_token_ids_as_a_prompt(ask, engine):
    ids = engine.read(Request(TextPrompt("def "), SamplingParams())).ids
    done = ask.completions.create(model="tiny", prompt=list(ids), max_tokens=8, temperature=0)
    assert done.choices[0].text == text_of(engine, TextPrompt("def "), max_tokens=8, healing=False)


def test_stop_strings_and_echo(ask, engine):
    whole = text_of(engine, TextPrompt("def "), max_tokens=30)
    stop = next(whole[at : at + 2] for at in range(3, 28) if "\ufffd" not in whole[at : at + 2])
    done = ask.completions.create(model="tiny", prompt="def ", max_tokens=30, temperature=0, stop=stop, echo=True)
    assert done.choices[0].text == "def " + whole[: whole.index(stop)]
    assert done.choices[0].finish_reason == "stop"
    parts = list(
        ask.completions.create(
            model="tiny", prompt="def ", max_tokens=30, temperature=0, stop=[stop], echo=True, stream=True
        )
    )
    assert "".join(part.choices[0].text for part in parts) == done.choices[0].text


def test_log_probabilities(ask, engine):
    done = ask.completions.create(model="tiny", prompt="def\n", max_tokens=8, temperature=0, logprobs=3)
    found = done.choices[0].logprobs
    spelt = [token.removeprefix("bytes:").encode().decode("unicode_escape").encode("latin-1") for token in found.tokens]
    assert b"".join(spelt).decode("utf-8", "replace") == done.choices[0].text
    assert any(token.startswith("bytes:\\x") for token in found.tokens)
    assert found.text_offset == [len(b"".join(spelt[:number]).decode("utf-8", "ignore")) for number in range(8)]
    for token, value, top in zip(found.tokens, found.token_logprobs, found.top_logprobs, strict=True):
        assert len(top) == 3
        assert max(top.values()) == top[token] == value  # greedy
    prompt = list(engine.read(Request(TextPrompt("def\n"), SamplingParams())).ids)
    [written] = engine.answer([Request(TextPrompt("def\n"), SamplingParams(8))])
    with torch.no_grad():
        logits = engine.model(torch.tensor([[*prompt, *written.ids]]))[0, -9:-1, : engine.tokenizer.vocab_size]
    scores = torch.log_softmax(logits, dim=-1)[range(8), list(written.ids)]
    assert found.token_logprobs == pytest.approx(scores.tolist(), abs=1e-3)


def test_streamed_text_offsets_count_on_from_chunk_to_chunk(ask):
    asked = {"model": "tiny", "prompt": "def ", "max_tokens": 12, "temperature": 0, "logprobs": 1}
    whole = ask.completions.create(**asked).choices[0].logprobs
    parts = [part.choices[0].logprobs for part in ask.completions.create(**asked, stream=True)]
    assert len(parts) > 3
    assert [token for part in parts for token in part.tokens] == whole.tokens
    assert [offset for part in parts for offset in part.text_offset] == whole.text_offset


def test_a_healed_prompt_has_log_probabilities_of_the_new_text(ask):
    """The tokens spell the text, without what the prompt has of them; the prompt's end is given, so it is certain."""
    asked = {"model": "tiny", "prompt": "x = 1\n\ndef add(a, b):\n    retu", "max_tokens": 12, "temperature": 0}
    plain = ask.completions.create(**asked).choices[0]
    found = ask.completions.create(**asked, logprobs=3).choices[0]
    assert found.text == plain.text
    spelt = [
        token.removeprefix("bytes:").encode().decode("unicode_escape").encode("latin-1")
        for token in found.logprobs.tokens
    ]
    assert b"".join(spelt).decode("utf-8", "replace") == found.text
    assert found.logprobs.text_offset[0] == 0
    for value, top in zip(found.logprobs.token_logprobs, found.logprobs.top_logprobs, strict=True):
        assert all(math.isfinite(log) and log <= value for log in top.values())


def test_a_stream_with_usage(ask, engine):
    parts = list(
        ask.completions.create(
            model="tiny",
            prompt="def ",
            max_tokens=20,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    *texts, last = parts
    assert "".join(part.choices[0].text for part in texts) == text_of(engine, TextPrompt("def "), max_tokens=20)
    assert [part.choices[0].finish_reason for part in texts[:-1]] == [None] * (len(texts) - 1)
    assert texts[-1].choices[0].finish_reason == "length"
    assert all(part.usage is None for part in texts)
    assert last.choices == []
    assert last.usage.completion_tokens == 20


def test_a_chat(chat, qwen):
    done = chat.chat.completions.create(model="qwen", messages=HELLO, max_tokens=12, temperature=0)
    assert done.object == "chat.completion"
    message = done.choices[0].message
    assert message.role == "assistant"
    assert message.content == text_of(qwen, ChatPrompt((Message("user", "Hello"),)), max_tokens=12)
    parts = list(
        chat.chat.completions.create(
            model="qwen",
            messages=[{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
            max_completion_tokens=12,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert parts[0].choices[0].delta.role == "assistant"
    assert "".join(part.choices[0].delta.content or "" for part in parts[:-1]) == message.content
    assert parts[-2].choices[0].finish_reason == "length"
    assert parts[-1].usage.total_tokens == done.usage.total_tokens


def test_a_reply_that_the_client_began(chat, qwen):
    messages = [*HELLO, {"role": "assistant", "content": "Dear"}]
    done = chat.chat.completions.create(model="qwen", messages=messages, max_tokens=6, temperature=0)
    expected = text_of(qwen, ChatPrompt((Message("user", "Hello"),), "Dear"), max_tokens=6)
    assert done.choices[0].message.content == expected


def test_log_probabilities_of_a_chat(chat):
    done = chat.chat.completions.create(
        model="qwen", messages=HELLO, max_tokens=6, temperature=0, logprobs=True, top_logprobs=2
    )
    tokens = done.choices[0].logprobs.content
    assert (
        b"".join(bytes(token.bytes) for token in tokens).decode("utf-8", "replace") == done.choices[0].message.content
    )
    assert all(token.top_logprobs[0].logprob == token.logprob for token in tokens)


class Answer(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    right: bool
    size: int = pydantic.Field(ge=0, le=99)


def test_json_of_a_schema(chat):
    done = chat.chat.completions.parse(
        model="qwen", messages=HELLO, response_format=Answer, max_tokens=60, temperature=1, seed=1
    )
    assert isinstance(done.choices[0].message.parsed, Answer)
    assert json.loads(done.choices[0].message.content).keys() == {"right", "size"}


def test_json_without_a_schema_and_grammars(chat, ask):
    form = {"type": "json_object"}
    done = chat.chat.completions.create(model="qwen", messages=HELLO, response_format=form, max_tokens=5)
    assert done.choices[0].message.content.startswith("{")
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"enum": ["a", "bb"]}}}
    text = ask.completions.create(model="tiny", prompt="def ", max_tokens=20, extra_body={"response_format": schema})
    assert json.loads(text.choices[0].text) in ("a", "bb")
    lark = {"grammar": 'start: "yes" | "no"'}
    assert ask.completions.create(model="tiny", prompt="de", extra_body=lark).choices[0].text in ("yes", "no")
    reply = chat.chat.completions.create(model="qwen", messages=HELLO, extra_body=lark, n=2)
    assert {choice.message.content for choice in reply.choices} <= {"yes", "no"}
    with pytest.raises(openai.BadRequestError, match="llguidance refuses the grammar"):
        ask.completions.create(model="tiny", prompt="def ", extra_body={"grammar": "start: ("})
    with pytest.raises(openai.BadRequestError, match="grammar must be left out"):
        ask.completions.create(model="tiny", prompt="def ", extra_body=lark | {"response_format": form})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_tokens": 0}, "max_tokens must be from 1"),
        ({"temperature": -1}, "temperature must be a number from 0 to 100"),
        ({"stop": 3}, "stop must be a string or a list of strings"),
        ({"prompt": [[1, "x"]]}, "prompt must be a string, a list of token ids"),
        ({"prompt": [99_999]}, "token ids must be from 0"),
        ({"prompt": "x " * 1000}, "the model reads at most 255"),
        ({"best_of": 4}, "does not choose among samples"),
        ({"n": 1000}, "n must be from 1 to 128"),
        ({"logprobs": 3, "echo": True}, "echo must be false where logprobs are wanted"),
    ],
)
def test_a_wrong_field_is_named(ask, wrong, message):
    with pytest.raises(openai.BadRequestError, match=message) as caught:
        ask.completions.create(**{"model": "tiny", "prompt": "x", "max_tokens": 2} | wrong)
    assert caught.value.type == "invalid_request_error"
    with pytest.raises(openai.BadRequestError, match=message):
        list(ask.completions.create(**{"model": "tiny", "prompt": "x", "max_tokens": 2, "stream": True} | wrong))


def test_what_this_server_does_not_do_is_said(chat, ask):
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    with pytest.raises(openai.BadRequestError, match="does not call tools"):
        chat.chat.completions.create(model="qwen", messages=HELLO, tools=[tool])
    image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    with pytest.raises(openai.BadRequestError, match="content must be text"):
        chat.chat.completions.create(model="qwen", messages=[{"role": "user", "content": image}])
    with pytest.raises(openai.BadRequestError, match="no chat template"):
        ask.chat.completions.create(model="tiny", messages=HELLO)
    with pytest.raises(openai.NotFoundError):
        ask.embeddings.create(model="tiny", input="x")


def test_the_key_the_queue_and_the_size_of_a_body(engine, monkeypatch):
    step = Scheduler.step
    monkeypatch.setattr(Scheduler, "step", lambda self: time.sleep(0.1) or step(self))  # the first text takes 25 s
    served = Served(Service(engine, max_rows=1, max_waiting=0), "tiny")
    with on_a_port(build_app(served, Access(key="secret", max_body=2000))) as url:
        with pytest.raises(openai.AuthenticationError), client_of(url) as client:
            client.models.list()
        with client_of(url, "secret") as client:
            # Greedy: a drawn end of the text would make room for the second request.
            with client.completions.create(
                model="tiny", prompt="x", max_tokens=250, temperature=0, stream=True
            ) as stream:
                next(iter(stream))
                with pytest.raises(openai.RateLimitError) as caught:
                    client.completions.create(model="tiny", prompt="y")
                assert caught.value.response.headers["retry-after"] == "1"
            with pytest.raises(openai.APIStatusError, match="larger than 2,000 bytes") as large:
                client.completions.create(model="tiny", prompt="x" * 3000)
            assert large.value.status_code == 413


def test_an_unknown_name_means_the_model(ask):
    named = ask.completions.create(model="gpt-3.5-turbo-instruct", prompt="x", max_tokens=2)
    assert named.model == "gpt-3.5-turbo-instruct"


def test_a_client_that_leaves_ends_its_text(qwen_url, chat):
    before = chat.chat.completions.create(model="qwen", messages=HELLO, max_tokens=1).usage
    with chat.chat.completions.create(model="qwen", messages=HELLO, max_tokens=200, stream=True) as stream:
        next(iter(stream))
    again = chat.chat.completions.create(model="qwen", messages=HELLO, max_tokens=1).usage
    assert again.prompt_tokens_details.cached_tokens >= before.prompt_tokens - 1
