"""Lets a chat model complete texts: each text becomes a user's message, and the completion is the reply."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chaku.console import say
from chaku.errors import ChakuError
from chaku.inference.generator import ChatPrompt, Completion, Generator, Request, TextPrompt
from chaku.tokens.chat import Chat, Message

if TYPE_CHECKING:
    from chaku.tokens.tokenizer import Tokenizer


class ChatWriter:
    """A `Generator` over a model in this process, for texts alone.

    A text that the chat template refuses, since it has the template's own signs, gets an empty reply and a line that
    says so: one question of many must not end a synthesis. Raises ChakuError for a model without a chat template.
    """

    def __init__(self, inner: Generator):
        assert inner.tokenizer is not None
        self.inner, self._chat = inner, Chat(inner.tokenizer)

    @property
    def num_threads(self) -> int:
        return self.inner.num_threads

    @property
    def num_rows(self) -> int:
        return self.inner.num_rows

    @property
    def tokenizer(self) -> "Tokenizer | None":
        return self.inner.tokenizer

    @property
    def context(self) -> int | None:
        return self.inner.context

    @property
    def identity(self) -> Mapping[str, Any]:
        return {**self.inner.identity, "chat": True}

    @property
    def record(self) -> Mapping[str, Any]:
        return {**self.inner.record, "chat": True}

    def check(self, request: Request) -> None:
        self.inner.check(_as_chat(request))

    def answer(self, requests: Sequence[Request]) -> list[Completion]:
        problems = [self._problem(request) for request in requests]
        whole = [_as_chat(request) for request, problem in zip(requests, problems, strict=True) if not problem]
        replies = iter(self.inner.answer(whole))
        for problem in dict.fromkeys(filter(None, problems)):
            say(f"no reply to a text: {problem}")
        return [Completion("", 0, "stop") if problem else next(replies) for problem in problems]

    def _problem(self, request: Request) -> str:
        """Why the template refuses a request; "" where it does not."""
        prompt = _as_chat(request).prompt
        assert isinstance(prompt, ChatPrompt)
        try:
            self._chat.prompt(prompt.messages)
        except ChakuError as error:
            return str(error)
        return ""


def _as_chat(request: Request) -> Request:
    assert isinstance(request.prompt, TextPrompt)
    return replace(request, prompt=ChatPrompt((Message("user", request.prompt.text),)))
