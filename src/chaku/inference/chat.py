"""A conversation with a model, turn by turn."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from chaku.console import say
from chaku.errors import ChakuError
from chaku.inference.engine import Engine
from chaku.inference.generator import SamplingParams
from chaku.inference.prompts import Prompt, answer
from chaku.tokens.chat import Chat, Message


class ChatSession:
    """A conversation and its `messages`. The model reads as many of the newest turns as its context holds.

    `template`: see `Chat`. The conversation always has half of the context: `max_tokens` of `params` is lowered to the
    other half where it is larger. Raises ChakuError for a model without a chat template.
    """

    def __init__(
        self,
        engine: Engine,
        params: SamplingParams | None = None,
        *,
        system: str | None = None,
        template: str | None = None,
    ):
        self.engine = engine
        self.chat = Chat(engine.tokenizer, template)
        self._context = engine.context
        params = params or SamplingParams(max_tokens=1024)
        max_tokens = max(1, min(params.max_tokens, self._context // 2))
        self.params = replace(params, max_tokens=max_tokens)
        self._system = [] if system is None else [Message("system", system)]
        self.reset()

    def reset(self) -> None:
        """Forget all but the system prompt."""
        self.messages: list[Message] = list(self._system)
        self._left_out = 0  # number of the oldest turns that the model no longer reads

    def ask(self, text: str) -> Iterator[str]:
        """The reply, piece by piece. When the caller stops early, the text so far is kept as the reply.

        When the context is full, the oldest turns are left out, with a notice. When the message alone does not fit, or
        the template refuses it, raises ChakuError and drops the message.
        """
        self.messages.append(Message("user", text))
        pieces: list[str] = []
        try:
            for piece in self.engine.stream(self._prompt(), self.params):
                pieces.append(piece)
                yield piece
        finally:
            if pieces:
                self.messages.append(Message("assistant", "".join(pieces)))
            else:
                self.messages.pop()

    def save(self, path: Path) -> None:
        """Append the conversation to `path` as one line of JSON, which a recipe can train on."""
        line = json.dumps({"messages": [asdict(message) for message in self.messages]}, ensure_ascii=False)
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise ChakuError(f"cannot save to {path}: {error.strerror}") from error

    def _prompt(self) -> Prompt:
        room = self._context - self.params.max_tokens
        turns = self.messages[len(self._system) :]
        for left_out in range(self._left_out, (len(turns) + 1) // 2):
            prompt = answer(self.chat, [*self._system, *turns[2 * left_out :]])
            if len(prompt.ids) <= room:
                if left_out > self._left_out:
                    full = f"the context of {self._context} tokens is full"
                    say(f"{full}: the oldest turns, {left_out} so far, are left out")
                self._left_out = left_out
                return prompt
        raise ChakuError(
            f"the message has {len(prompt.ids)} tokens with its system prompt, and the context of {self._context} "
            f"leaves {room} beside a reply of {self.params.max_tokens}; shorten it, or lower --max-tokens"
        )
