"""How tokens are chosen: temperature, top-p, seeds, and where a completion ends."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chaku.errors import ChakuError


@dataclass(frozen=True)
class SamplingParams:
    """`temperature` 0 is greedy. A completion ends before any of the `stop` strings, at EOS or at one of `stop_ids`.

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


def choose(scores: Tensor, params: SamplingParams, uniforms: Sequence[float]) -> list[int]:
    """The next id of each row of (rows, vocab) scores; `uniforms` are one number in [0, 1) a row.

    Top-p keeps the likeliest tokens whose probabilities, before the last of them, sum to less than `top_p`.
    """
    if params.temperature == 0:
        return scores.argmax(dim=-1).tolist()
    probabilities, order = torch.softmax(scores.double() / params.temperature, dim=-1).sort(dim=-1, descending=True)
    before = probabilities.cumsum(dim=-1) - probabilities
    probabilities = probabilities.masked_fill(before >= params.top_p, 0.0)
    totals = probabilities.cumsum(dim=-1)
    points = torch.tensor(uniforms, dtype=totals.dtype, device=totals.device) * totals[:, -1]
    at = torch.searchsorted(totals, points[:, None], right=True).clamp(max=totals.shape[1] - 1)
    return order.gather(1, at).squeeze(1).tolist()
