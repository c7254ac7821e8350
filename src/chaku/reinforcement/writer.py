"""Samples replies with the model that is being trained."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from chaku.inference.engine import Engine
from chaku.inference.generator import Request, SamplingParams, TokenPrompt, answer_all
from chaku.model.llama import Llama
from chaku.reinforcement.groups import Reply, Write
from chaku.reinforcement.tasks import Task
from chaku.tokens.tokenizer import Tokenizer


class Writer(Protocol):
    """Samples replies: the engine of this process, or a server that gets the new weights.

    `measures`: its replies have `sampler_logs`, and the trainer must measure `logs`.
    """

    measures: bool

    def weights_changed(self) -> None:
        """The weights have changed, or may have."""
        ...

    def writing(self, *, num_samples: int, temperature: float, max_tokens: int, seed: int) -> Write:
        """What samples `num_samples` replies to each prompt. A reply depends on the weights, `seed` and its draw."""
        ...


class EngineWriter:
    """Implements `Writer` with chaku's engine on the weights of the trained model itself."""

    measures = False

    def __init__(self, model: Llama, tokenizer: Tokenizer):
        self._model = model
        self._engine = Engine(model, tokenizer)

    def weights_changed(self) -> None:
        self._engine.forget()

    def writing(self, *, num_samples: int, temperature: float, max_tokens: int, seed: int) -> Write:
        def write(asked: Sequence[tuple[int, Task]]) -> Iterator[tuple[int, int, Reply]]:
            requests = [
                Request(
                    TokenPrompt(task.prompt.ids),
                    SamplingParams(
                        max_tokens=max_tokens,
                        temperature=temperature,
                        stop_ids=tuple(task.prompt.stop_ids),
                        seed=seed + 1_000_003 * (draw + 1),
                        num_samples=num_samples,
                    ),
                    number,
                )
                for draw, task in asked
                for number in range(num_samples)
            ]
            training = self._model.training
            self._model.eval()
            try:
                for answers in answer_all(self._engine, requests):
                    for place, completion in answers:
                        reply = Reply(completion.text, completion.ids, completion.finish_reason == "length")
                        yield place // num_samples, place % num_samples, reply
            finally:
                self._model.train(training)

        return write
