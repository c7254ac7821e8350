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


def test_a_text_with_the_templates_own_signs_gets_no_reply_and_ends_nothing(engine, tokenizer, monkeypatch, capsys):
    template = "{% for m in messages %}{% if '[INST]' in m.content %}{{ raise_exception('a sign') }}{% endif %}"
    monkeypatch.setitem(tokenizer.config, "chat_template", template + "<{{ m.content }}>{{ eos_token }}{% endfor %}")
    writer, params = ChatWriter(engine), SamplingParams(max_tokens=6)
    asked = [Request(TextPrompt(text), params) for text in ("def f", "def [INST]", "class A")]
    replies = writer.answer(asked)
    assert [replies[0], replies[2]] == writer.answer([asked[0], asked[2]])
    assert (replies[1].text, replies[1].num_tokens) == ("", 0)
    assert writer.answer([asked[1]] * 2) == [replies[1]] * 2
    assert "no reply to a text: the chat template" in capsys.readouterr().err
