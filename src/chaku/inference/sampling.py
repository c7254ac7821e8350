"""Samples tokens: temperature, top_p and seeds."""

import hashlib
import random
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from chaku.inference.generator import SamplingParams

LIKELIEST = 256  # tokens sorted in the first try


def row_random(seed: int, prompt: Sequence[int], sample: int) -> random.Random:
    """A row's random numbers: they depend on seed, prompt and sample number, not on the other rows of the batch."""
    key = hashlib.sha256(repr((seed, sample, list(prompt))).encode()).digest()
    return random.Random(key)


class Sampler(Protocol):
    """Chooses the next id of each row; see `choose`."""

    def __call__(
        self, scores: Tensor, params: Sequence[SamplingParams], uniforms: Sequence[float | None]
    ) -> list[int]: ...


def choose(scores: Tensor, params: Sequence[SamplingParams], uniforms: Sequence[float | None]) -> list[int]:
    """Sample the next id of each row from (rows, vocab) logits, with the row's parameters and random number in [0, 1).

    A row whose number is None is greedy. `top_p` keeps the smallest set of most likely tokens whose probabilities sum
    to at least `top_p`.
    """
    chosen: list[int] = scores.argmax(dim=-1).tolist()
    numbers = {row: number for row, number in enumerate(uniforms) if number is not None}
    if numbers:
        drawn = _sample(scores[list(numbers)], [params[row] for row in numbers], list(numbers.values()))
        for row, token in zip(numbers, drawn, strict=True):
            chosen[row] = token
    return chosen


def _sample(scores: Tensor, params: Sequence[SamplingParams], uniforms: Sequence[float]) -> list[int]:
    def column(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=scores.device)[:, None]  # (rows, 1)

    probabilities = torch.softmax(scores.double() / column([row.temperature for row in params]), dim=-1)
    top_p, points = column([row.top_p for row in params]), column(uniforms)
    whole = top_p >= 1
    # Sorting a large vocabulary takes as long as a step of a small model. The LIKELIEST tokens are enough for most
    # rows: top_p cuts off the other tokens, or the random number does not reach them.
    vocab_size = probabilities.shape[1]
    for num_sorted in (min(LIKELIEST, vocab_size), vocab_size):
        likeliest, order = probabilities.topk(num_sorted, dim=-1)
        totals = likeliest.cumsum(dim=-1)
        likeliest = likeliest.masked_fill(totals - likeliest >= top_p, 0.0)
        kept = likeliest.cumsum(dim=-1)
        targets = points * torch.where(whole, probabilities.sum(dim=-1, keepdim=True), kept[:, -1:])
        if torch.where(whole, kept[:, -1:] > targets, totals[:, -1:] >= top_p).all():
            break
    at = torch.searchsorted(kept, targets, right=True).clamp(max=order.shape[1] - 1)
    return order.gather(1, at).squeeze(1).tolist()
