"""A chat model reads a text to complete as a user's message."""

from dataclasses import replace

import pytest

from chaku import ChakuError
from chaku.inference.chat_writer import ChatWriter
from chaku.inference.generator import ChatPrompt, Request, SamplingParams, TextPrompt
from chaku.tokens.chat import Message


def test_the_reply_to_a_message_is_the_completion(engine, tokenizer, monkeypatch):
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}"
    monkeypatch.setitem(tokenizer.config, "chat_template", template)
    writer, params = ChatWriter(engine), SamplingParams(max_tokens=6, temperature=0.8, seed=4)
    asked = [Request(TextPrompt(text), params) for text in ("def f", "class A")]
    talked = [replace(one, prompt=ChatPrompt((Message("user", one.prompt.text),))) for one in asked]
    assert writer.answer(asked) == engine.answer(talked)
    assert writer.answer(asked) != engine.answer(asked)
    assert writer.identity != engine.identity  # a ledger keeps its replies apart
    assert writer.num_rows == engine.num_rows


def test_a_model_without_a_chat_template_is_refused(engine):
    with pytest.raises(ChakuError, match="chat template"):
        ChatWriter(engine)
