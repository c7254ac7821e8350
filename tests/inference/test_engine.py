"""Batches, streams, stops and scores agree with running the model token by token."""

import numpy as np
import pytest
import torch

from chaku import ChakuError
from chaku.inference.engine import Engine
from chaku.inference.generator import InfillPrompt, Request, SamplingParams, TextPrompt, answer_all
from chaku.inference.prompts import Prompt, complete, infill
from chaku.inference.sampling import choose
from chaku.inference.torch_decoder import TorchBlocks
from chaku.model.config import PRESETS
from chaku.model.llama import Llama

TEXTS = ["def", "def add(a, b):\n    return", "x", "for x in range(10):\n", "", "print(x)\n" * 2, "☺"]


def prompts(tokenizer):
    return [complete(tokenizer, text) for text in TEXTS]


@torch.no_grad()
def plain_greedy(engine, prompt, num_tokens):
    """No cache, no batch, no padding."""
    ids = list(prompt.ids)
    for _ in range(num_tokens):
        scores = engine.model(torch.tensor([ids]))[0, -1, : engine.tokenizer.vocab_size]
        ids.append(int(scores.argmax()))
        if ids[-1] == engine.tokenizer.eos_id:
            break
    return tuple(ids[len(prompt.ids) :])


def test_greedy_batches_equal_the_plain_loop(engine):
    params = SamplingParams(max_tokens=20)
    asked = prompts(engine.tokenizer)
    for prompt, [completion] in zip(asked, engine.generate(asked, params), strict=True):
        assert completion.ids == plain_greedy(engine, prompt, 20)
        assert completion.finish_reason in ("length", "stop")


def test_samples_depend_on_seed_and_prompt_not_on_the_batch(engine):
    params = SamplingParams(max_tokens=12, temperature=0.9, top_p=0.9, seed=5, num_samples=3)
    together = engine.generate(prompts(engine.tokenizer), params)
    alone = [engine.generate([prompt], params)[0] for prompt in prompts(engine.tokenizer)]
    assert together == alone
    assert len({completion.ids for completion in together[0]}) > 1
    other = engine.generate(prompts(engine.tokenizer), SamplingParams(12, 0.9, 0.9, seed=6, num_samples=3))
    assert other != together


def test_temperature_and_top_p_follow_the_distribution(engine):
    """Four hundred first tokens against the softmax; top-p leaves out exactly the tail."""
    prompt = complete(engine.tokenizer, "for")
    with torch.no_grad():
        scores = engine.model(torch.tensor([prompt.ids]))[0, -1, : engine.tokenizer.vocab_size]
    expected = torch.softmax(scores / 5.0, -1)
    params = SamplingParams(max_tokens=1, temperature=5.0, num_samples=400)
    engine = Engine(engine.model, engine.tokenizer, batch_size=400)
    drawn = (
        np.bincount([completion.ids[0] for completion in engine.generate([prompt], params)[0]], minlength=len(expected))
        / 400
    )
    flat = np.full(len(expected), 1 / len(expected))
    assert np.abs(drawn - expected.numpy()).sum() < np.abs(drawn - flat).sum()
    ordered, order = expected.sort(descending=True)
    num_kept = int((ordered.cumsum(0) - ordered < 0.3).sum())
    params = SamplingParams(max_tokens=1, temperature=5.0, top_p=0.3, num_samples=400)
    kept = {completion.ids[0] for completion in engine.generate([prompt], params)[0]}
    assert kept <= set(order[:num_kept].tolist())
    assert len(kept) > num_kept // 2


def test_a_prompt_is_read_once_for_all_its_samples(engine, monkeypatch):
    engine = Engine(engine.model, engine.tokenizer)
    read = []
    forward = TorchBlocks.forward
    monkeypatch.setattr(TorchBlocks, "forward", lambda self, spans: read.extend(spans) or forward(self, spans))
    asked = prompts(engine.tokenizer)[:2]
    params = SamplingParams(max_tokens=8, temperature=0.9, num_samples=3, first_greedy=True)
    for prompt, completions in zip(asked, engine.generate([*asked, asked[0]], params), strict=False):
        assert completions[0] == engine.generate([prompt], SamplingParams(max_tokens=8))[0][0]
        assert completions[1:] == engine.generate([prompt], SamplingParams(8, 0.9, num_samples=3))[0][1:]
    firsts = [tuple(span.ids) for span in read if span.past == 0]
    assert len(firsts) == len(set(firsts))  # every other text began with what is in the cache


@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.2])
@pytest.mark.parametrize("temperature", [0.5, 40.0])  # the likeliest tokens hold nearly everything, and little
def test_a_large_vocabulary_is_sampled_as_if_it_was_sorted(temperature, top_p):
    scores = torch.randn(50, 3000, generator=torch.Generator().manual_seed(6)) * 8
    uniforms = torch.rand(50, generator=torch.Generator().manual_seed(7)).tolist()
    probabilities, order = torch.softmax(scores.double() / temperature, dim=-1).sort(dim=-1, descending=True)
    expected = []
    for row, uniform in enumerate(uniforms):
        kept = probabilities[row][probabilities[row].cumsum(0) - probabilities[row] < top_p].cumsum(0)
        expected.append(int(order[row][int((kept <= uniform * kept[-1]).sum())]))
    params = [SamplingParams(temperature=temperature, top_p=top_p)] * len(scores)
    assert choose(scores, params, uniforms) == expected
    greedy = choose(scores, params, [None, *uniforms[1:]])
    assert greedy == [int(scores[0].argmax()), *expected[1:]]


def test_streams_are_the_completion_in_pieces(engine):
    for prompt in prompts(engine.tokenizer):
        params = SamplingParams(max_tokens=30, temperature=1.0, seed=2)
        pieces = list(engine.stream(prompt, params))
        [[completion]] = engine.generate([prompt], params)
        assert "".join(pieces) == completion.text
        assert all(pieces)


def says(engine, script):
    """The engine with a sampler that takes the tokens of a script, in place of the model's."""
    return Engine(engine.model, engine.tokenizer, sampler=lambda scores, params, uniforms: [script.pop(0)])


def test_no_half_characters_and_nothing_of_a_stop_string(engine):
    tokenizer = engine.tokenizer
    ids = [*tokenizer.encode_infilling("a☺b\n\n"), *tokenizer.encode_infilling("class C")]
    for stop, expected in (((), "a☺b\n\nclass C"), (("\n\nclass",), "a☺b"), (("\n\nclasp",), "a☺b\n\nclass C")):
        params = SamplingParams(max_tokens=len(ids), stop=stop)
        pieces = list(says(engine, list(ids)).stream(complete(tokenizer, "x"), params))
        assert "".join(pieces) == expected
        assert "�" not in "".join(pieces)
        if stop == ("\n\nclass",):
            assert "\n" not in "".join(pieces)  # held back until it was certain
    params = SamplingParams(max_tokens=40, stop=("\n\nclass",))
    [[completion]] = says(engine, list(ids)).generate([complete(tokenizer, "x")], params)
    assert (completion.text, completion.finish_reason) == ("a☺b", "stop")


def test_end_tokens(engine):
    tokenizer = engine.tokenizer
    letter = tokenizer.encode_infilling("b")[0]
    text, hole = complete(tokenizer, "x"), infill(tokenizer, "x", "y")
    for prompt, end, stop_ids in (
        (text, tokenizer.eos_id, ()),
        (hole, tokenizer.eot_id, ()),
        (text, letter, (letter,)),
    ):
        script = [tokenizer.encode_infilling("a")[0], end, 5]
        params = SamplingParams(max_tokens=9, stop_ids=stop_ids)
        [[completion]] = says(engine, script).generate([prompt], params)
        assert (completion.text, completion.finish_reason, len(completion.ids)) == ("a", "stop", 2)


def test_the_implicit_space_is_not_text(engine):
    tokenizer = engine.tokenizer
    for prompt, expected in ((complete(tokenizer, ""), "add"), (complete(tokenizer, "x"), " add")):
        script = tokenizer.encode("add")
        [[completion]] = says(engine, script).generate([prompt], SamplingParams(max_tokens=len(script)))
        assert completion.text == expected


def test_scores_equal_log_softmax_beyond_the_context(engine):
    generator = np.random.default_rng(0)
    sequences = [generator.integers(3, 512, length).tolist() for length in (2, 9, 1, 100, 40)]
    with torch.no_grad():
        for ids, scores in zip(sequences, engine.score(sequences), strict=True):
            logits = torch.log_softmax(engine.model(torch.tensor([ids]))[0], -1)
            expected = logits[torch.arange(len(ids) - 1), ids[1:]]
            np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_a_prompt_longer_than_the_context_keeps_bos_and_its_end(engine, capsys):
    tokenizer = engine.tokenizer
    prompt = complete(tokenizer, "return a + b " * 40)
    [[completion]] = engine.generate([prompt], SamplingParams(max_tokens=10))
    assert "longer than the 54 tokens" in capsys.readouterr().err
    assert completion.ids == plain_greedy(engine, Prompt((tokenizer.bos_id, *prompt.ids[-53:])), 10)
    assert completion.prompt_tokens_cut == len(prompt.ids) - 54
    with pytest.raises(ChakuError, match=r"longer than the 54 tokens .* shorten the texts"):
        engine.generate([infill(tokenizer, "return a + b " * 40, "")], SamplingParams(max_tokens=10))
    with pytest.raises(ChakuError, match="max_tokens 64 fills the context"):
        engine.generate([Prompt((1,))], SamplingParams(max_tokens=64))


def test_requests_of_all_kinds_are_answered_together_as_each_alone(engine):
    requests = [
        Request(prompt, SamplingParams(8, temperature, 0.9, seed=3, num_samples=2), sample)
        for prompt in (TextPrompt("def add(a"), InfillPrompt("def f(", "):\n"), TextPrompt("x" * 99, max_tokens=5))
        for temperature in (0.0, 0.9)
        for sample in (0, 1)
    ]
    together = engine.answer(requests)
    assert together == [engine.answer([request])[0] for request in requests]
    prompt = engine.read(requests[2])
    assert together[2:4] == engine.generate([prompt], requests[2].params)[0]
    assert dict(pair for pairs in answer_all(engine, requests) for pair in pairs) == dict(enumerate(together))


@pytest.mark.parametrize(
    "wrong",
    [{"max_tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.1}, {"num_samples": 0}, {"stop": ("",)}],
)
def test_wrong_sampling_is_named(wrong):
    with pytest.raises(ChakuError, match=next(iter(wrong))):
        SamplingParams(**wrong)


def test_a_tokenizer_larger_than_the_model_is_refused(tokenizer):
    with pytest.raises(ChakuError, match="use the tokenizer of this model"):
        Engine(Llama(PRESETS["tiny"].__class__(**{**vars(PRESETS["tiny"]), "vocab_size": 309})), tokenizer)
