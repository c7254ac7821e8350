"""Samples tokens: temperature, top_k, top_p, min_p, penalties and seeds."""

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

    A row whose number is None is greedy. The temperature comes first. Then `top_k` keeps the so many most likely tokens
    (0: all), and `top_p` the smallest set of most likely tokens whose probabilities sum to at least `top_p` times the
    sum of those that `top_k` keeps. `min_p` drops tokens with less than `min_p` times the highest probability.
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
    vocab_size = probabilities.shape[1]
    top_p, min_p = column([row.top_p for row in params]), column([row.min_p for row in params])
    top_k, points = column([row.top_k or vocab_size for row in params]), column(uniforms)
    limited = top_k < vocab_size
    whole = (top_p >= 1) & ~limited & (min_p == 0)
    # Sorting a large vocabulary takes as long as a step of a small model. The LIKELIEST tokens are enough for most
    # rows: the other tokens are cut off, or the random number does not reach them.
    for num_sorted in (min(LIKELIEST, vocab_size), vocab_size):
        likeliest, order = probabilities.topk(num_sorted, dim=-1)
        unlikely = likeliest < min_p * likeliest[:, :1]
        likeliest = likeliest.masked_fill(torch.arange(num_sorted, device=scores.device) >= top_k, 0.0)
        totals = likeliest.cumsum(dim=-1)
        enough = torch.where(limited, top_p * totals[:, -1:], top_p)
        likeliest = likeliest.masked_fill((totals - likeliest >= enough) | unlikely, 0.0)
        kept = likeliest.cumsum(dim=-1)
        targets = points * torch.where(whole, probabilities.sum(dim=-1, keepdim=True), kept[:, -1:])
        others_cut = torch.where(limited, top_k <= num_sorted, (totals[:, -1:] >= top_p) | unlikely[:, -1:])
        if torch.where(whole, kept[:, -1:] > targets, others_cut).all():
            break
    at = torch.searchsorted(kept, targets, right=True).clamp(max=order.shape[1] - 1)
    return order.gather(1, at).squeeze(1).tolist()


def penalize(logits: Tensor, params: SamplingParams, prompt: Sequence[int], written: Sequence[int]) -> None:
    """Lower, in place, the (vocab,) logits of tokens that would be repeated.

    `presence_penalty` is subtracted from the logit of each written token, and `frequency_penalty` as many times as the
    token was written (OpenAI's penalties). `repeat_penalty` divides a positive logit, and multiplies a negative one, of
    each of the last `repeat_last_n` tokens, the prompt's included (llama.cpp's penalty; -1: of all tokens).
    """
    if written and (params.presence_penalty or params.frequency_penalty):
        tokens, counts = torch.tensor(written, device=logits.device).unique(return_counts=True)
        logits[tokens] -= params.presence_penalty + params.frequency_penalty * counts
    if params.repeat_penalty != 1 and params.repeat_last_n:
        num = len(prompt) + len(written) if params.repeat_last_n < 0 else params.repeat_last_n
        recent = [*prompt[max(len(prompt) + len(written) - num, 0) :], *written[-num:]]
        tokens = torch.tensor(recent, dtype=torch.int64, device=logits.device).unique()
        values = logits[tokens]
        logits[tokens] = torch.where(values > 0, values / params.repeat_penalty, values * params.repeat_penalty)
