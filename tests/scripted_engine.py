"""An engine whose texts a test gives; who reads prompts, and how, stays the real engine's affair."""

from collections.abc import Callable, Sequence

from chaku.inference.engine import Engine
from chaku.inference.generator import Completion, Request


class ScriptedEngine(Engine):
    """Writes what `write` says of a request. `asked` keeps the requests, a list a call."""

    def __init__(self, engine: Engine, write: Callable[[Request], str], batch_size: int = 8):
        super().__init__(engine.model, engine.tokenizer, batch_size)
        self.write, self.asked = write, []

    def answer(self, requests: Sequence[Request]) -> list[Completion]:
        self.asked.append(list(requests))
        return [Completion(self.write(request), 1, "stop") for request in requests]

    @property
    def requests(self) -> list[Request]:
        """All that was asked."""
        return [request for call in self.asked for request in call]
