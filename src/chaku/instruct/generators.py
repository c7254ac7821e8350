"""Who is asked: a checkpoint through our engine, or a server that speaks OpenAI's API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from chaku.evals.endpoint import Endpoint
from chaku.evals.manifest import weights_sha256

if TYPE_CHECKING:
    from chaku.inference.engine import Engine

REQUESTS_AT_ONCE = 16  # to an endpoint, which batches them


@dataclass(frozen=True)
class Ask:
    """A prompt, and how it is to be answered. `kind`: "questions", "tests" or "solutions"."""

    kind: str
    prompt: str
    num_samples: int = 1
    max_tokens: int = 512
    temperature: float = 0.8
    top_p: float = 0.95
    stop: tuple[str, ...] = ()
    seed: int = 0

    def sampling(self) -> dict[str, Any]:
        """All but the prompt, as plain values."""
        return {
            "num_samples": self.num_samples,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "stop": list(self.stop),
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Reply:
    """What was answered, and how many tokens it took."""

    text: str
    num_tokens: int


class Generator(Protocol):
    """`answer` is called from `num_threads` threads, with asks for about `rows_at_once` samples each time."""

    rows_at_once: int
    num_threads: int

    @property
    def identity(self) -> Mapping[str, Any]:
        """What its answers depend on beside prompt and sampling."""

    def answer(self, asks: Sequence[Ask]) -> list[list[Reply]]:
        """The samples of each ask, in order."""


class EngineGenerator:
    """A checkpoint on this machine. What it writes depends on prompt, seed and sample, not on the batch."""

    num_threads = 1

    def __init__(self, engine: "Engine"):
        self._engine = engine
        self.rows_at_once = engine.batch_size
        self._identity = {
            "model_sha256": weights_sha256(engine.model),
            "tokenizer_sha256": engine.tokenizer.sha256,
        }

    @property
    def identity(self) -> Mapping[str, Any]:
        return self._identity

    def answer(self, asks: Sequence[Ask]) -> list[list[Reply]]:
        from chaku.inference.prompts import complete
        from chaku.inference.sampling import SamplingParams

        answers: list[list[Reply]] = []
        for sampling, group in groupby(asks, key=Ask.sampling):  # asks of a kind come together
            params = SamplingParams(**{**sampling, "stop": tuple(sampling["stop"])})
            prompts = [complete(self._engine.tokenizer, ask.prompt) for ask in group]
            for completions in self._engine.generate(prompts, params):
                answers.append([Reply(completion.text, len(completion.ids)) for completion in completions])
        return answers


class EndpointGenerator:
    """A server. Each sample is a request of its own, whose seed is the ask's plus the sample's number."""

    rows_at_once = 1
    num_threads = REQUESTS_AT_ONCE

    def __init__(self, endpoint: Endpoint):
        self._endpoint = endpoint

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"model": self._endpoint.model, "endpoint": self._endpoint.address}

    def answer(self, asks: Sequence[Ask]) -> list[list[Reply]]:
        return [[self._sample(ask, number) for number in range(ask.num_samples)] for ask in asks]

    def _sample(self, ask: Ask, number: int) -> Reply:
        text, num_tokens = self._endpoint.answer(
            ask.prompt,
            None,
            max_tokens=ask.max_tokens,
            temperature=ask.temperature,
            top_p=ask.top_p,
            stop=ask.stop,
            seed=ask.seed + number,
        )
        return Reply(text, num_tokens)
