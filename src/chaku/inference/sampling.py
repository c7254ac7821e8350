"""How tokens are chosen: temperature, top-p, seeds, and where a completion ends."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chaku.errors import ChakuError

LIKELIEST = 256  # tokens that are sorted first


@dataclass(frozen=True)
class SamplingParams:
    """`temperature` 0 is greedy. A completion ends before any of the `stop` strings, at EOS or at one of `stop_ids`.

    `first_greedy`: of several samples the first is greedy, whatever the temperature of the others.
    `healing`: where the prompt ends inside a token, it is continued as if it did not (`inference.healing`).
    Raises ChakuError for a value out of range.
    """

    max_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    seed: int = 0
    num_samples: int = 1
    healing: bool = False
    first_greedy: bool = False

    def __post_init__(self) -> None:
        for name, wrong, wanted in (
            ("max_tokens", self.max_tokens < 1, "at least 1"),
            ("temperature", not 0 <= self.temperature < float("inf"), "0 (greedy) or more"),
            ("top_p", not 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("num_samples", self.num_samples < 1, "at least 1"),
            ("stop", any(not text for text in self.stop), "without an empty text"),
        ):
            if wrong:
                raise ChakuError(f"{name} is {getattr(self, name)!r}; it must be {wanted}")


def row_random(seed: int, prompt: Sequence[int], sample: int) -> random.Random:
    """A row's own numbers: they depend on the seed, the prompt and the sample, not on what shares the batch."""
    key = hashlib.sha256(repr((seed, sample, list(prompt))).encode()).digest()
    return random.Random(key)


def choose(scores: Tensor, params: SamplingParams, uniforms: Sequence[float | None]) -> list[int]:
    """The next id of each row of (rows, vocab) scores; `uniforms` are one number in [0, 1) a row.

    A row without a number is greedy. Top-p keeps the smallest set of the likeliest tokens whose probabilities sum to at
    least `top_p`.
    """
    chosen: list[int] = scores.argmax(dim=-1).tolist()
    numbers = {row: number for row, number in enumerate(uniforms) if number is not None and params.temperature > 0}
    if numbers:
        drawn = _sample(scores[list(numbers)], params, list(numbers.values()))
        for row, token in zip(numbers, drawn, strict=True):
            chosen[row] = token
    return chosen


def _sample(scores: Tensor, params: SamplingParams, uniforms: Sequence[float]) -> list[int]:
    probabilities = torch.softmax(scores.double() / params.temperature, dim=-1)
    points = torch.tensor(uniforms, dtype=probabilities.dtype, device=probabilities.device)
    # Sorting a large vocabulary takes as long as a step of a small model. Mostly the likeliest tokens are enough: those
    # after them are not kept, or not reached.
    vocab_size = probabilities.shape[1]
    for num_sorted in (min(LIKELIEST, vocab_size), vocab_size):
        likeliest, order = probabilities.topk(num_sorted, dim=-1)
        totals = likeliest.cumsum(dim=-1)
        likeliest = likeliest.masked_fill(totals - likeliest >= params.top_p, 0.0)
        kept = likeliest.cumsum(dim=-1)
        targets = points * (kept[:, -1] if params.top_p < 1 else probabilities.sum(dim=-1))
        enough = totals[:, -1] >= params.top_p if params.top_p < 1 else kept[:, -1] > targets
        if enough.all():
            break
    at = torch.searchsorted(kept, targets[:, None], right=True).clamp(max=order.shape[1] - 1)
    return order.gather(1, at).squeeze(1).tolist()
