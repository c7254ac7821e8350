"""Lets a chat model complete texts: each text becomes a user's message, and the completion is the reply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from chaku.inference.generator import ChatPrompt, Completion, Generator, Request, TextPrompt
from chaku.tokens.chat import Chat, Message

if TYPE_CHECKING:
    from chaku.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class ChatWriter:
    """A `Generator` over another one, for texts alone. Raises ChakuError for a model without a chat template."""

    inner: Generator

    def __post_init__(self) -> None:
        if self.inner.tokenizer is not None:
            Chat(self.inner.tokenizer)

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
        return self.inner.answer([_as_chat(request) for request in requests])


def _as_chat(request: Request) -> Request:
    assert isinstance(request.prompt, TextPrompt)
    return replace(request, prompt=ChatPrompt((Message("user", request.prompt.text),)))
