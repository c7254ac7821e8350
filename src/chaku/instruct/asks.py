"""Prompts that self-instruct sends to a model, with their sampling settings, and the replies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chaku.inference.generator import Generator, Request, SamplingParams, TextPrompt


@dataclass(frozen=True)
class Ask:
    """A prompt and its sampling settings. `kind`: what it asks for, such as "questions", "tests" or "evolve"."""

    kind: str
    prompt: str
    num_samples: int = 1
    max_tokens: int = 512
    temperature: float = 0.8
    top_p: float = 0.95
    stop: tuple[str, ...] = ()
    seed: int = 0

    def sampling(self) -> dict[str, Any]:
        """The sampling settings as JSON values."""
        return {
            "num_samples": self.num_samples,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "stop": list(self.stop),
            "seed": self.seed,
        }

    def requests(self) -> list[Request]:
        """A request for each sample."""
        params = SamplingParams(**{**self.sampling(), "stop": self.stop})
        return [Request(TextPrompt(self.prompt), params, sample) for sample in range(self.num_samples)]


@dataclass(frozen=True)
class Reply:
    """One completion of an `Ask`."""

    text: str
    num_tokens: int


def answer(generator: Generator, asks: Sequence[Ask]) -> list[list[Reply]]:
    """Sample the model: for each ask, its `num_samples` replies."""
    completions = generator.answer([request for ask in asks for request in ask.requests()])
    replies = (Reply(completion.text, completion.num_tokens) for completion in completions)
    return [[next(replies) for _ in range(ask.num_samples)] for ask in asks]
