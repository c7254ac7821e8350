"""What is kept of a distribution, against a plain sort of all tokens; and penalties, by hand."""

import itertools
import random

import pytest
import torch

from chaku import ChakuError
from chaku.inference import sampling
from chaku.inference.generator import SamplingParams
from chaku.inference.prompts import complete
from chaku.inference.sampling import choose, penalize


def plainly(scores, params, uniform):
    """The token that `choose` should draw."""
    probabilities = torch.softmax(scores.double() / params.temperature, dim=-1)
    ranked = sorted(range(len(scores)), key=lambda token: -probabilities[token])
    ranked = ranked[: params.top_k or None]
    among = sum(float(probabilities[token]) for token in ranked)
    kept, total = [], 0.0
    for token in ranked:
        probability = float(probabilities[token])
        if total >= params.top_p * among or probability < params.min_p * float(probabilities[ranked[0]]):
            break
        total += probability
        kept.append((token, total))
    return next(token for token, reached in kept if reached > uniform * total)


@pytest.mark.parametrize("likeliest", [4, 256])
def test_choices_are_those_of_a_plain_sort(monkeypatch, likeliest):
    monkeypatch.setattr(sampling, "LIKELIEST", likeliest)
    draw = random.Random(5)
    grid = itertools.product((0, 3, 30, 99), (0.3, 0.9, 1.0), (0.0, 0.02, 0.4), (0.5, 2.0))
    params = [SamplingParams(temperature=heat, top_k=k, top_p=p, min_p=least) for k, p, least, heat in grid]
    scores = torch.randn((len(params), 50), generator=torch.Generator().manual_seed(1)) * 3
    for _ in range(2):
        uniforms = [draw.random() for _ in params]
        rows = list(zip(scores, params, uniforms, strict=True))
        expected = [plainly(*row) for row in rows]
        assert choose(scores, params, uniforms) == expected
        # Alone, a row looks at all tokens only where it must.
        assert [choose(logits[None], [own], [number])[0] for logits, own, number in rows] == expected


def test_top_k_of_one_is_the_likeliest_token():
    scores = torch.randn((1, 50))
    assert choose(scores, [SamplingParams(temperature=5, top_k=1)], [0.999]) == [int(scores.argmax())]


def test_presence_and_frequency_count_written_tokens():
    logits = torch.zeros(6)
    penalize(logits, SamplingParams(presence_penalty=0.5, frequency_penalty=0.25), [1, 2], [3, 3, 4])
    assert logits.tolist() == [0, 0, 0, -1.0, -0.75, 0]


@pytest.mark.parametrize(
    ("last", "halved"), [(0, set()), (1, {3}), (2, {0, 3}), (3, {0, 2, 3}), (64, {0, 1, 2, 3}), (-1, {0, 1, 2, 3})]
)
def test_repeat_penalty_reaches_so_many_tokens_back_into_the_prompt(last, halved):
    logits = torch.tensor([8.0, -2.0, 4.0, 2.0, 6.0])
    penalize(logits, SamplingParams(repeat_penalty=2.0, repeat_last_n=last), [1, 2], [0, 3])
    lowered = {0: 4.0, 1: -4.0, 2: 2.0, 3: 1.0}
    assert logits.tolist() == [lowered[n] if n in halved else old for n, old in enumerate((8.0, -2.0, 4.0, 2.0, 6.0))]


def test_without_penalties_logits_stay():
    logits = torch.randn(6)
    before = logits.clone()
    penalize(logits, SamplingParams(), [1, 2], [3])
    assert torch.equal(logits, before)


def test_a_greedy_text_under_a_penalty_does_not_repeat_itself(engine):
    prompt = complete(engine.tokenizer, "def")
    [[repeats]] = engine.generate([prompt], SamplingParams(40))
    assert len(set(repeats.ids)) < len(repeats.ids)
    [[counted]] = engine.generate([prompt], SamplingParams(40, frequency_penalty=1000.0))
    assert len(set(counted.ids)) == len(counted.ids)
    [[divided]] = engine.generate([prompt], SamplingParams(40, repeat_penalty=1e6, repeat_last_n=-1))
    assert len(set(divided.ids)) == len(divided.ids)
    assert not set(divided.ids) & set(prompt.ids)


@pytest.mark.parametrize("wrong", [{"top_k": -1}, {"min_p": 1.5}, {"repeat_penalty": 0}, {"repeat_last_n": -2}])
def test_values_out_of_range(wrong):
    with pytest.raises(ChakuError, match=f"{next(iter(wrong))} is "):
        SamplingParams(**wrong)


def test_what_is_set_is_recorded_and_what_is_not_set_is_not():
    assert SamplingParams(top_k=40, repeat_penalty=1.1).record().items() >= {"top_k": 40, "repeat_penalty": 1.1}.items()
    assert "top_k" not in SamplingParams().record()
