"""A conversation: what the model sees of it, what is kept, what is saved."""

import json

import pytest

from chaku import ChakuError
from chaku.inference.chat import ChatSession
from chaku.inference.generator import SamplingParams
from chaku.instruct.conversations import read_conversation, read_rows
from chaku.tokens.chat import Message


class Scripted:
    """An engine that writes what it is told, and notes what it was given."""

    def __init__(self, tokenizer, *replies, context=400):
        self.tokenizer, self.context = tokenizer, context
        self.replies, self.prompts, self.ends = list(replies), [], []

    def stream(self, prompt, params):
        self.prompts.append(self.tokenizer.decode(prompt.ids))
        self.ends.append(prompt.stop_ids)
        yield from self.replies.pop(0)


def session(tokenizer, *replies, context=400, **settings):
    engine = Scripted(tokenizer, *replies, context=context)
    return engine, ChatSession(engine, SamplingParams(max_tokens=20), template="llama2", **settings)


def test_each_turn_sees_those_before_it(tokenizer):
    engine, chat = session(tokenizer, [" fi", "ne "], [" yes "], system="Be brief.")
    assert "".join(chat.ask("how?")) == " fine "
    assert "".join(chat.ask("sure?")) == " yes "
    assert engine.prompts[1] == "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nhow? [/INST] fine  [INST] sure? [/INST]"
    assert engine.ends[0] == {tokenizer.eos_id}
    chat.reset()
    assert chat.messages == [Message("system", "Be brief.")]


def test_the_oldest_turns_are_left_out_when_the_context_is_full_and_that_is_said(tokenizer, capsys):
    engine, chat = session(tokenizer, *[[f"reply {number}"] for number in range(8)], context=300, system="S")
    for number in range(8):
        list(chat.ask(f"question {number} " + "x" * 20))
    assert "question 0" in engine.prompts[0]
    assert "question 0" not in engine.prompts[-1]
    assert "reply 6" in engine.prompts[-1]
    assert all("<<SYS>>\nS\n<</SYS>>" in prompt for prompt in engine.prompts)
    assert "so far, are left out" in capsys.readouterr().err
    assert len(chat.messages) == 1 + 16  # nothing is forgotten


def test_a_message_that_does_not_fit_alone_is_taken_back(tokenizer):
    engine, chat = session(tokenizer, ["never"], context=60)
    with pytest.raises(ChakuError, match="shorten it, or lower --max-tokens"):
        list(chat.ask("x" * 300))
    with pytest.raises(ChakuError, match=r"contains \[INST\]"):
        list(chat.ask("[INST]"))
    assert chat.messages == []
    assert engine.replies == [["never"]]


def test_what_was_written_is_kept_when_the_reader_stops(tokenizer):
    _, chat = session(tokenizer, ["one ", "two ", "three"])
    reply = chat.ask("count")
    assert [next(reply), next(reply)] == ["one ", "two "]
    reply.close()
    assert chat.messages[-1] == Message("assistant", "one two ")


def test_half_of_the_context_is_left_to_what_was_said(tokenizer):
    _, chat = session(tokenizer, context=30)
    assert chat.params.max_tokens == 15


def test_what_is_saved_trains(tokenizer, tmp_path):
    _, chat = session(tokenizer, ["1"], ["2"], system="S")
    list(chat.ask("a ☺"))
    chat.save(tmp_path / "all.jsonl")
    list(chat.ask("b"))
    chat.save(tmp_path / "all.jsonl")
    read = [read_conversation(row) for row in read_rows(str(tmp_path))]
    assert read[1] == chat.messages
    assert read[0] == chat.messages[:3]
    assert len(json.loads((tmp_path / "all.jsonl").read_text().splitlines()[0])["messages"]) == 3


def test_a_real_model_answers_and_stops_at_the_templates_end(engine):
    chat = ChatSession(engine, SamplingParams(max_tokens=8), template="llama2")
    first = "".join(chat.ask("a"))
    again = ChatSession(engine, SamplingParams(max_tokens=8), template="llama2")
    assert "".join(again.ask("a")) == first
