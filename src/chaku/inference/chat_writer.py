"""Lets a chat model complete texts: each text becomes a user's message, and the completion is the reply."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from chaku.console import say
from chaku.errors import ChakuError
from chaku.inference.generator import ChatPrompt, Completion, Generator, Request, TextPrompt, Wrapper
from chaku.tokens.chat import Chat, Message


class ChatWriter(Wrapper):
    """A `Generator` over a model in this process, for texts alone.

    A text that the chat template refuses, since it has the template's own signs, gets an empty reply and a line that
    says so: one question of many must not end a synthesis. Raises ChakuError for a model without a chat template.
    """

    def __init__(self, inner: Generator):
        assert inner.tokenizer is not None
        super().__init__(inner)
        self._chat = Chat(inner.tokenizer)

    @property
    def identity(self) -> Mapping[str, Any]:
        return {**self.inner.identity, "chat": True}

    @property
    def record(self) -> Mapping[str, Any]:
        return {**self.inner.record, "chat": True}

    def check(self, request: Request) -> None:
        self.inner.check(_as_chat(request))

    def answer(self, requests: Sequence[Request]) -> list[Completion]:
        asked = [_as_chat(request) for request in requests]
        problems = {prompt: self._problem(prompt) for prompt in dict.fromkeys(map(_messages, asked))}
        for problem in dict.fromkeys(filter(None, problems.values())):
            say(f"no reply to a text: {problem}")
        replies = iter(self.inner.answer([request for request in asked if not problems[_messages(request)]]))
        return [Completion("", 0, "stop") if problems[_messages(request)] else next(replies) for request in asked]

    def _problem(self, messages: tuple[Message, ...]) -> str:
        """Why the template refuses a conversation; "" where it does not."""
        try:
            self._chat.prompt(messages)
        except ChakuError as error:
            return str(error)
        return ""


def _messages(request: Request) -> tuple[Message, ...]:
    assert isinstance(request.prompt, ChatPrompt)
    return request.prompt.messages


def _as_chat(request: Request) -> Request:
    assert isinstance(request.prompt, TextPrompt)
    return replace(request, prompt=ChatPrompt((Message("user", request.prompt.text),)))
